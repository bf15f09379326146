"""From many tracks to a few figures, each named for what it is, with its interval.

    uSDR          mean over songs of nSDR, the Music Demixing Challenge's figure
    nSDR_median   median over songs of nSDR
    cSDR          median over songs of the median over frames, SiSEC's and most papers' figure
    cSDR_mean     mean over songs of the median over frames
    SI-SDR        mean over songs;  SI-SDR_median
    cISR, cSIR, cSAR and their _mean, like cSDR

uSDR and cSDR of the same estimates often differ by a decibel: never compare one with the other.

"all" is the mean over stems: for means, of each song first, as the challenge has it; for medians,
of the stems' figures, as SiSEC has it. Scores of silent references stay out.

Intervals are 95 % percentile intervals of a bootstrap over songs: they show how much the figure
hangs on which songs were in the set.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unbraid.evaluation.scores import FRAMED, WHOLE_SONG, TrackScores

ALL = "all"
RESAMPLES = 10_000
_SEED = 0
_AT_ONCE = 500


@dataclass(frozen=True)
class Figure:
    """One aggregated score.

    Attributes:
        value: dB; NaN if no track has it.
        low, high: its 95 % interval; NaN below two tracks.
        tracks: how many were taken together.
    """

    value: float
    low: float
    high: float
    tracks: int


@dataclass(frozen=True)
class Aggregate:
    """How one score of a track becomes one of a set.

    Attributes:
        name: of the figure.
        score: of a track, as `StemScores.value` takes it.
        over_tracks: "mean" or "median".
    """

    name: str
    score: str
    over_tracks: str


AGGREGATES = (
    Aggregate("uSDR", "nSDR", "mean"),
    Aggregate("nSDR_median", "nSDR", "median"),
    Aggregate("SI-SDR", "SI-SDR", "mean"),
    Aggregate("SI-SDR_median", "SI-SDR", "median"),
    *(Aggregate(name, name, "median") for name in FRAMED),
    *(Aggregate(f"{name}_mean", name, "mean") for name in FRAMED),
)
assert {aggregate.score for aggregate in AGGREGATES} == {*WHOLE_SONG, *FRAMED}


def aggregate(
    tracks: Sequence[TrackScores], *, resamples: int = RESAMPLES, seed: int = _SEED
) -> dict[str, dict[str, Figure]]:
    """All figures of a set: name -> stem (or "all") -> figure. What no track has is left out.

    Args:
        tracks: of one system.
        resamples: of the bootstrap.
        seed: of the bootstrap; the same seed gives the same intervals.
    """
    figures = {}
    for kind in AGGREGATES:
        table, stems = score_table(tracks, kind.score)
        if np.isfinite(table).any():
            figures[kind.name] = _figures(table, stems, kind.over_tracks, resamples, seed)
    return figures


def score_table(tracks: Sequence[TrackScores], score: str) -> tuple[np.ndarray, list[str]]:
    """Scores (tracks, stems), NaN where there is none, and the names of the stems."""
    stems = stem_names(tracks)
    table = np.full((len(tracks), len(stems)), math.nan)
    for row, track in enumerate(tracks):
        for stem, values in track.stems.items():
            table[row, stems.index(stem)] = values.counted(score)
    return np.where(np.isfinite(table), table, math.nan), stems


def stem_names(tracks: Sequence[TrackScores]) -> list[str]:
    """Stems of all tracks, in the order they first come."""
    return list(dict.fromkeys(stem for track in tracks for stem in track.stems))


def statistics(table: np.ndarray, over_tracks: str) -> np.ndarray:
    """The figure of each stem and, last, of all: (..., tracks, stems) -> (..., stems + 1)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of stems without any score: NaN is right
        if over_tracks == "mean":
            stems = np.nanmean(table, axis=-2)
            together = np.nanmean(np.nanmean(table, axis=-1), axis=-1)
        else:
            stems = np.nanmedian(table, axis=-2)
            together = np.nanmean(stems, axis=-1)
    return np.concatenate([stems, together[..., None]], axis=-1)


def bootstrap(
    tracks: int, statistic: Callable[[np.ndarray], np.ndarray], resamples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """95 % percentile interval of a statistic over tracks drawn with replacement.

    Args:
        tracks: how many there are.
        statistic: takes indices (draws, tracks), gives (draws, figures).
    Returns:
        lower and upper ends, (figures,).
    """
    generator = np.random.default_rng(seed)
    drawn = []
    for first in range(0, resamples, _AT_ONCE):
        count = min(_AT_ONCE, resamples - first)
        drawn.append(statistic(generator.integers(0, tracks, (count, tracks))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        low, high = np.nanpercentile(np.concatenate(drawn), [2.5, 97.5], axis=0)
    return low, high


def scored_tracks(table: np.ndarray) -> list[int]:
    """How many tracks have a score: of each stem, and of any."""
    finite = np.isfinite(table)
    return [*finite.sum(axis=0).tolist(), int(finite.any(axis=1).sum())]


def _figures(
    table: np.ndarray, stems: list[str], over_tracks: str, resamples: int, seed: int
) -> dict[str, Figure]:
    values = statistics(table, over_tracks)
    low, high = bootstrap(
        len(table), lambda drawn: statistics(table[drawn], over_tracks), resamples, seed
    )
    counts = scored_tracks(table)
    names = [*stems, ALL]
    return {
        name: _figure(values[i], low[i], high[i], counts[i])
        for i, name in sorted(enumerate(names), key=lambda item: item[1] != ALL)
    }


def _figure(value: float, low: float, high: float, tracks: int) -> Figure:
    if tracks < 2:
        low = high = math.nan
    return Figure(float(value), float(low), float(high), tracks)


def by_name(figures: Mapping[str, Mapping[str, Figure]]) -> dict[str, dict[str, dict[str, float]]]:
    """Figures as plain values, for JSON."""
    return {
        name: {stem: dict(vars(figure)) for stem, figure in stems.items()}
        for name, stems in figures.items()
    }
