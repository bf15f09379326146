"""The page about an evaluation, or several of the same songs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unbraid.evaluation.baselines import IDEAL, TRIVIAL
from unbraid.evaluation.figures import ALL
from unbraid.evaluation.page_data import BOXED, page_data
from unbraid.evaluation.published import sdr_table
from unbraid.evaluation.summary import Summary
from unbraid.evaluation.worst_excerpts import Excerpt, excerpt_sounds, worst_excerpts
from unbraid.pages.charts import Box, Row, chart
from unbraid.pages.page import Page, plain
from unbraid.version import __version__
from unbraid.words import counted

if TYPE_CHECKING:
    from markupsafe import Markup

_MAIN = {
    "uSDR": "uSDR: mean over songs of nSDR, the measure of the Music Demixing Challenge",
    "cSDR": "cSDR: median over songs of the median over 1 s frames (BSSEval v4), as in most papers",
}
_BOXES = {"nSDR": "nSDR of each song", "cSDR": "Median SDR over the frames of each song"}
_EXCERPTS = 2
_EXCERPT_BUDGET = 6_000_000
_MUSDB_TRACKS = 50


@dataclass(frozen=True)
class _Sounds:
    """Players of an excerpt.

    Attributes:
        number: of the excerpt in the page's data.
        label: for screen readers.
        players: name to a preview; empty where there is nothing to play, or no room left.
    """

    number: int
    label: str
    players: Mapping[str, bytes]


def write_scores_report(
    systems: Sequence[Summary], path: Path, *, title: str = "Evaluation", overwrite: bool = False
) -> None:
    """Write a page about one or more evaluations.

    Raises:
        AudioWriteError: if a file that is not a page of unbraid is in the way.
        EvaluationError: if two of them cannot be compared.
        OSError: if the disk is full.
    """
    scores_page(systems, title).write(path, overwrite=overwrite)


def scores_page(systems: Sequence[Summary], title: str = "Evaluation") -> Page:
    """The page about one or more evaluations.

    Raises:
        EvaluationError: if two of them cannot be compared.
    """
    excerpts = [(s, e) for s in systems for e in worst_excerpts(s.tracks, _EXCERPTS)]
    data = {
        **page_data(systems, title),
        "version": __version__,
        "excerpts": plain([{"system": s.system, **asdict(e)} for s, e in excerpts]),
        "published": sdr_table(),
    }
    return Page(
        title=title,
        data=data,
        package="unbraid.evaluation",
        template="evaluation.html",
        values={
            "main": {
                score: text
                for score, text in _MAIN.items()
                if any(score in system["figures"] for system in data["systems"])
            },
            "boxes": [
                (text, drawn)
                for score, text in _BOXES.items()
                if (drawn := _boxes(data, score, text)) is not None
            ],
            "excerpt_sounds": _sounds(excerpts),
            "boxed": BOXED,
            "song_heads": [f"{score} {stem}" for score in BOXED for stem in data["stems"]],
            "notes": [_notes(system) for system in data["systems"]],
            "all": ALL,
            "trivial": TRIVIAL,
            "ideal": IDEAL,
            "musdb_tracks": _MUSDB_TRACKS,
        },
    )


def render_scores(systems: Sequence[Summary], title: str = "Evaluation") -> str:
    """The HTML of the page."""
    return scores_page(systems, title).render()


def _boxes(data: Mapping[str, Any], score: str, text: str) -> Markup | None:
    """A line for each stem and system; None if nothing has a score."""
    rows = []
    for stem in data["stems"]:
        for number, system in enumerate(data["systems"]):
            found = system["boxes"][score].get(stem)
            group = stem if number == 0 else ""
            name = system["name"]
            if found is None:
                rows.append(Row(name, f"{name}, {stem}: no score", number, None, group=group))
                continue
            box = Box(**{**found, "outliers": tuple(found["outliers"])})
            text_of_box = (
                f"{name}, {stem}: median {box.median:.2f} dB, quartiles {box.low:.2f} and "
                f"{box.high:.2f}, {counted(box.count, 'song')}"
            )
            rows.append(box.row(name, text_of_box, number, group))
    return chart(rows, "dB", text) if any(row.middle is not None for row in rows) else None


def _notes(system: Mapping[str, Any]) -> dict[str, str]:
    """What to know about the scores of each track."""
    return {
        name: "; ".join(
            [
                *track["notes"],
                *(
                    f"{stem}: silent reference, not in the means"
                    for stem, values in track["stems"].items()
                    if values["silent_reference"]
                ),
            ]
        )
        for name, track in system["tracks"].items()
    }


def _sounds(excerpts: Sequence[tuple[Summary, Excerpt]]) -> list[_Sounds]:
    """Players of all excerpts, until the page would grow too large."""
    found, spent = [], 0
    for number, (system, excerpt) in enumerate(excerpts):
        track = next(track for track in system.tracks if track.name == excerpt.track)
        players = {}
        for name, sound in excerpt_sounds(track, excerpt).items():
            spent += len(sound) * 4 // 3
            if spent < _EXCERPT_BUDGET:
                players[name] = sound
        found.append(_Sounds(number, f"{excerpt.track}, {excerpt.stem}", players))
    return found
