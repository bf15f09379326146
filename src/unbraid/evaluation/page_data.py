"""Evaluations as the data of a page: what `unbraid evaluate` wrote, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from unbraid.evaluation.baseline_figures import unbeaten
from unbraid.evaluation.comparison import common_tracks, compare
from unbraid.evaluation.figures import Figure, score_table, stem_names
from unbraid.evaluation.scores import TrackScores
from unbraid.evaluation.summary import SUMMARY, Summary, files_of_scores, load_summary
from unbraid.pages.charts import box_of
from unbraid.pages.page import plain

BOXED = ("nSDR", "cSDR")


def looks_like_evaluation(folder: Path) -> bool:
    """Whether a folder holds files of scores."""
    if (folder / SUMMARY).is_file():
        return True
    return any('"targets"' in _start(path) for path in files_of_scores(folder))


def load_evaluation(folder: Path, name: str | None = None) -> Summary:
    """Read the output of `unbraid evaluate`, or any folder of museval's files.

    Args:
        folder: with `summary.json`, or with museval's files alone.
        name: to call the system by, instead of its own name.
    Raises:
        EvaluationError: if there are no scores, or a file is damaged.
    """
    summary = load_summary(folder)
    return summary if name is None else replace(summary, system=name)


def page_data(systems: Sequence[Summary], title: str) -> dict[str, Any]:
    """All that a page about evaluations shows, as plain values."""
    stems = list(dict.fromkeys(s for system in systems for s in stem_names(system.tracks)))
    data: dict[str, Any] = plain(
        {
            "kind": "evaluation",
            "title": title,
            "stems": stems,
            "systems": [_system(system) for system in systems],
            "comparisons": [
                _comparison(first, second)
                for number, first in enumerate(systems)
                for second in systems[number + 1 :]
                if common_tracks(first.tracks, second.tracks)
            ],
        }
    )
    return data


def _system(system: Summary) -> dict[str, Any]:
    return {
        "name": system.system,
        "leaked": system.leaked,
        "settings": system.settings,
        "provenance": system.provenance,
        "notes": system.notes,
        "failed": system.failed,
        "figures": _figures(system.figures),
        "baselines": {name: _figures(found) for name, found in system.baselines.items()},
        "unbeaten": [asdict(stem) for stem in unbeaten(system.figures, system.baselines)],
        "boxes": {score: _boxes(system.tracks, score) for score in BOXED},
        "tracks": {
            track.name: {
                "stems": {
                    stem: {score: values.value(score) for score in BOXED}
                    | {"silent_reference": values.silent_reference}
                    for stem, values in track.stems.items()
                },
                "notes": track.notes,
            }
            for track in system.tracks
        },
    }


def _figures(figures: Mapping[str, Mapping[str, Figure]]) -> dict[str, Any]:
    return {
        name: {stem: asdict(figure) for stem, figure in stems.items()}
        for name, stems in figures.items()
    }


def _comparison(first: Summary, second: Summary) -> dict[str, Any]:
    return {
        "first": first.system,
        "second": second.system,
        "tracks": len(common_tracks(first.tracks, second.tracks)),
        "figures": {
            name: {stem: asdict(difference) for stem, difference in stems.items()}
            for name, stems in compare(first.tracks, second.tracks).items()
        },
    }


def _boxes(tracks: Sequence[TrackScores], score: str) -> dict[str, Any]:
    table, stems = score_table(tracks, score)
    boxes = {}
    for column, stem in enumerate(stems):
        box = box_of([float(value) for value in table[:, column] if value == value])
        boxes[stem] = None if box is None else asdict(box)
    return boxes


def _start(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(4096)
    except OSError:
        return ""
