"""The page of `unbraid data check`: what a dataset holds, in figures and plots."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from unbraid.pages.charts import Row, box_of, chart, colour, strips_chart
from unbraid.pages.page import Page, plain, readable
from unbraid.version import __version__

if TYPE_CHECKING:
    from markupsafe import Markup

    from unbraid.data.check import DatasetCheck

_MOST_CURVES = 60  # tracks drawn; all are in the table
_LEVELS_DB = (-60.0, -6.0)
_PLOTS: dict[str, tuple[str, Callable[[Mapping[str, Any]], float | None]]] = {
    "Loudness of each track": ("LUFS", lambda part: part["loudness_lufs"]),
    "Peak of each track": ("dBFS", lambda part: part["peak_db"]),
    "Share of time in which a stem is silent": ("%", lambda part: 100 * part["silent_share"]),
}


def write_data_report(check: DatasetCheck, path: Path, *, overwrite: bool = False) -> None:
    """Write the page about a dataset.

    Raises:
        AudioWriteError: if a file that is not a page of unbraid is in the way.
        OSError: if the disk is full.
    """
    data_page(check).write(path, overwrite=overwrite)


def data_page(check: DatasetCheck) -> Page:
    """The page about a dataset."""
    title = f"Dataset {check.root.resolve().name}"
    data = {
        **plain(check.plain()),
        "version": __version__,
        "stems": list(check.stems),
        "totals": _totals(check),
    }
    sound = [number for number, track in enumerate(data["tracks"]) if track["problem"] is None]
    return Page(
        title=title,
        data=data,
        package="unbraid.data",
        template="dataset.html",
        values={
            "heading": title,
            "boxes": {**_level_boxes(data), **_length_boxes(data)},
            "likeness": _likeness(data),
            "strips": [(number, _strips(data, number)) for number in sound[:_MOST_CURVES]],
            "most_curves": _MOST_CURVES if len(sound) > _MOST_CURVES else None,
            "levels_db": _LEVELS_DB,
        },
    )


def _totals(check: DatasetCheck) -> dict[str, Any]:
    splits: dict[str, dict[str, float]] = {}
    for track in check.tracks:
        of = splits.setdefault(track.split, {"tracks": 0, "minutes": 0.0})
        of["tracks"] += 1
        of["minutes"] += track.duration_s / 60
    pairs: dict[str, list[float]] = {}
    for track in check.tracks:
        for pair, value in track.correlations.items():
            pairs.setdefault(pair, []).append(abs(value))
    return {
        "splits": splits,
        "problems": check.problems,
        "correlations": {
            pair: {"mean": fmean(values), "most": max(values)} for pair, values in pairs.items()
        },
    }


def _level_boxes(data: Mapping[str, Any]) -> dict[str, Markup]:
    """Charts of what tracks measure, by title."""
    charts = {}
    for title, (unit, value) in _PLOTS.items():
        rows = []
        for number, stem in enumerate((*data["stems"], "mixture")):
            parts = [
                track["mixture"] if stem == "mixture" else track["stems"].get(stem)
                for track in data["tracks"]
            ]
            box = box_of([v for part in parts if part and (v := value(part)) is not None])
            if box is None:
                rows.append(Row(stem, f"{stem}: silent", number, None))
                continue
            text = f"{stem}: median {box.median:.1f} {unit}, {box.least:.1f} to {box.most:.1f}"
            rows.append(box.row(stem, text, number))
        charts[title] = chart(rows, unit, title)
    return charts


def _length_boxes(data: Mapping[str, Any]) -> dict[str, Markup]:
    """The chart of lengths, if a track can be trained on."""
    rows = []
    for number, split in enumerate(dict.fromkeys(track["split"] for track in data["tracks"])):
        lengths = [
            track["duration_s"]
            for track in data["tracks"]
            if track["split"] == split and track["problem"] is None
        ]
        if (box := box_of(lengths)) is not None:
            text = f"{split}: median {box.median:.1f} s, {min(lengths):.1f} to {max(lengths):.1f}"
            rows.append(box.row(split, text, number))
    title = "Length of each track"
    return {title: chart(rows, "s", title)} if rows else {}


def _likeness(data: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, float] | None]]]:
    """Rows of the table of correlations: stem, then pair and strength in each column."""
    stems, found = data["stems"], data["totals"]["correlations"]
    if len(stems) < 2 or not found:
        return []
    rows = []
    for one in stems:
        pairs = [
            next((p for p in (f"{one}/{two}", f"{two}/{one}") if p in found), None)
            if one != two
            else None
            for two in stems
        ]
        rows.append((one, [(p, min(1.0, found[p]["most"])) if p else None for p in pairs]))
    return rows


def _strips(data: Mapping[str, Any], number: int) -> Markup:
    """Level curves of a track's stems."""
    track = data["tracks"][number]
    return strips_chart(
        {
            stem: track["stems"][stem]["levels_db"]
            for stem in data["stems"]
            if stem in track["stems"]
        },
        {stem: colour(place) for place, stem in enumerate(data["stems"])},
        f"levels of {readable(track['name'])}",
        _LEVELS_DB,
    )
