"""Figures of the baselines on the songs of an evaluation, and which stems they beat a system on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unbraid.evaluation.baselines import BASELINES, TRIVIAL
from unbraid.evaluation.figures import ALL, RESAMPLES, Figure, aggregate
from unbraid.evaluation.scores import TrackScores

Figures = Mapping[str, Mapping[str, Figure]]
"""Name of the figure -> stem or "all" -> figure."""


@dataclass(frozen=True)
class Unbeaten:
    """A stem on which a system is no better than what needs no model.

    Attributes:
        stem: its name.
        baseline: the best of the trivial baselines, or "silence".
        value, rival: uSDR of the system and of the baseline, dB.
    """

    stem: str
    baseline: str
    value: float
    rival: float


def baseline_figures(
    tracks: Sequence[TrackScores], resamples: int = RESAMPLES
) -> dict[str, dict[str, dict[str, Figure]]]:
    """Baseline -> name of the figure -> stem -> figure, over the tracks that have baselines.

    "all" stands only where a baseline has all stems of the system.
    """
    measured = [track for track in tracks if track.baselines]
    found = {}
    for name in BASELINES:
        own = [track.of_baseline(name) for track in measured]
        figures = aggregate(own, resamples=resamples)
        if any(
            theirs.stems.keys() != track.stems.keys()
            for theirs, track in zip(own, measured, strict=True)
        ):
            figures = {key: _without_all(stems) for key, stems in figures.items()}
        if figures:
            found[name] = figures
    return found


def unbeaten(figures: Figures, baselines: Mapping[str, Figures]) -> list[Unbeaten]:
    """Stems on which the mean nSDR over songs is not above that of a trivial baseline, nor silence.

    Stems that a baseline was measured for on fewer songs than the system are left out.
    """
    usdr = {stem: figure for stem, figure in figures.get("uSDR", {}).items() if stem != ALL}
    found = []
    for stem, own in usdr.items():
        rivals = {
            name: theirs.value
            for name in TRIVIAL
            if (theirs := baselines.get(name, {}).get("uSDR", {}).get(stem)) is not None
            and theirs.tracks == own.tracks
        }
        if rivals:
            rivals["silence"] = 0.0
            best = max(rivals, key=lambda name: rivals[name])
            if own.value <= rivals[best]:
                found.append(Unbeaten(stem, best, own.value, rivals[best]))
    return found


def _without_all(stems: Mapping[str, Figure]) -> dict[str, Figure]:
    return {stem: figure for stem, figure in stems.items() if stem != ALL}
