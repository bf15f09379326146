"""Compares two systems on the same songs.

The difference is taken on the tracks and stems that both have, and its interval from a bootstrap
that draws the same songs for both. Songs differ far more than systems do, so this interval is much
narrower than those of the two figures: use this one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unbraid.errors import EvaluationError
from unbraid.evaluation.figures import (
    AGGREGATES,
    ALL,
    RESAMPLES,
    bootstrap,
    score_table,
    statistics,
)
from unbraid.evaluation.scores import TrackScores


@dataclass(frozen=True)
class Difference:
    """How much better the first system is than the second.

    Attributes:
        value: first minus second, dB.
        low, high: its 95 % interval; NaN below two tracks. If 0 is outside, they differ.
        wins, losses: tracks on which the first has the higher, the lower score.
        tracks: how many have both.
    """

    value: float
    low: float
    high: float
    wins: int
    losses: int
    tracks: int


def compare(
    first: Sequence[TrackScores],
    second: Sequence[TrackScores],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, dict[str, Difference]]:
    """Compare two systems: name of the figure -> stem (or "all") -> difference.

    Raises:
        EvaluationError: if they have no track in common.
    """
    names = {track.name for track in second}
    common = sorted({track.name for track in first} & names)
    if not common:
        raise EvaluationError("the two evaluations have no track in common")
    ours, theirs = _pick(first, common), _pick(second, common)
    differences = {}
    for kind in AGGREGATES:
        tables = _common_tables(ours, theirs, kind.score)
        if tables is not None:
            differences[kind.name] = _differences(*tables, kind.over_tracks, resamples, seed)
    return differences


def common_tracks(first: Sequence[TrackScores], second: Sequence[TrackScores]) -> list[str]:
    """Names of the tracks that both have."""
    return sorted({track.name for track in first} & {track.name for track in second})


def _pick(tracks: Sequence[TrackScores], names: Sequence[str]) -> list[TrackScores]:
    known = {track.name: track for track in tracks}
    return [known[name] for name in names]


def _common_tables(
    ours: list[TrackScores], theirs: list[TrackScores], score: str
) -> tuple[np.ndarray, np.ndarray, list[str]] | None:
    table, stems = score_table(ours, score)
    other, other_stems = score_table(theirs, score)
    shared = [stem for stem in stems if stem in other_stems]
    table = table[:, [stems.index(stem) for stem in shared]]
    other = other[:, [other_stems.index(stem) for stem in shared]]
    both = np.isfinite(table) & np.isfinite(other)
    if not both.any():
        return None
    return np.where(both, table, math.nan), np.where(both, other, math.nan), shared


def _differences(
    ours: np.ndarray,
    theirs: np.ndarray,
    stems: list[str],
    over_tracks: str,
    resamples: int,
    seed: int,
) -> dict[str, Difference]:
    def difference(drawn: np.ndarray) -> np.ndarray:
        gap: np.ndarray = np.subtract(
            statistics(ours[drawn], over_tracks), statistics(theirs[drawn], over_tracks)
        )
        return gap

    everything = np.arange(len(ours))[None]
    value = difference(everything)[0]
    low, high = bootstrap(len(ours), difference, resamples, seed)
    delta = ours - theirs
    columns = [delta[:, i][np.isfinite(delta[:, i])] for i in range(len(stems))]
    columns.append(np.array([np.nanmean(row) for row in delta if np.isfinite(row).any()]))
    found = {}
    for i, name in sorted(enumerate([*stems, ALL]), key=lambda item: item[1] != ALL):
        column = columns[i]
        sure = len(column) >= 2
        found[name] = Difference(
            value=float(value[i]),
            low=float(low[i]) if sure else math.nan,
            high=float(high[i]) if sure else math.nan,
            wins=int((column > 0).sum()),
            losses=int((column < 0).sum()),
            tracks=len(column),
        )
    return found
