"""The page of `unbraid data check`: what a dataset holds, in figures and plots."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from unbraid.evaluation.report.charts import COLOURS, Row, box_of, chart
from unbraid.evaluation.report.page import (
    Figures,
    facts,
    plain,
    pointer,
    publish_page,
    readable,
    render,
    table,
)
from unbraid.version import __version__

if TYPE_CHECKING:
    from unbraid.data.check import DatasetCheck

_MOST_CURVES = 60  # tracks drawn; all are in the table
_WIDTH, _STRIP = 440, 18
_PAIRS = (
    '<div style="display: grid; gap: 0 1.5rem; '
    'grid-template-columns: repeat(auto-fit, minmax(min(24rem, 100%), 1fr))">'
)
_FLOOR_DB, _TOP_DB = -60.0, -6.0


def write_data_report(check: DatasetCheck, path: Path, *, overwrite: bool = False) -> None:
    """Write the page about a dataset.

    Raises:
        AudioWriteError: if something that is no page of ours is in the way.
        OSError: if the disk is full.
    """
    publish_page(render_data_report(check), path, overwrite=overwrite)


def render_data_report(check: DatasetCheck) -> str:
    """The page."""
    title = f"Dataset {check.root.resolve().name}"
    data = {
        **plain(check.plain()),
        "version": __version__,
        "stems": list(check.stems),
        "totals": _totals(check),
    }
    figures = Figures(data)
    body = "".join(
        (
            f"<h1>{html.escape(readable(title))}</h1>",
            _overview(figures),
            _boxes(check),
            _likeness(figures),
            _curves(figures),
            _tracks(figures),
        )
    )
    return render(title, body, data)


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


def _overview(figures: Figures) -> str:
    rows = []
    for split in figures.data["totals"]["splits"]:
        at = pointer("totals", "splits", split)
        tracks = figures.show(at + "/tracks", "{:g} tracks")
        rows.append((split, f"{tracks}, {figures.show(at + '/minutes', '{:.1f} min')}"))
    rows.append(("cannot be trained on", figures.show("/totals/problems", "{:g} tracks")))
    rows.append(("made by", f"unbraid {figures.show('/version')}"))
    notes = "".join(
        f"<p class=warn>{figures.show(pointer('notes', number))}</p>"
        for number in range(len(figures.data["notes"]))
    )
    return f"<p>{figures.show('/root')}</p>{facts(rows)}{notes}"


_PLOTS: dict[str, tuple[str, Callable[[Mapping[str, Any]], float | None]]] = {
    "Loudness of each track": ("LUFS", lambda part: part["loudness_lufs"]),
    "Peak of each track": ("dBFS", lambda part: part["peak_db"]),
    "Share of time in which a part is silent": ("%", lambda part: 100 * part["silent_share"]),
}


def _boxes(check: DatasetCheck) -> str:
    content = check.plain()
    out = ["<h2>Levels</h2>", _PAIRS]
    for title, (unit, value) in _PLOTS.items():
        rows = []
        for colour, stem in enumerate((*check.stems, "mixture")):
            parts = [
                track["mixture"] if stem == "mixture" else track["stems"].get(stem)
                for track in content["tracks"]
            ]
            values = [v for part in parts if part and (v := value(part)) is not None]
            box = box_of(values)
            if box is None:
                rows.append(Row(stem, f"{stem}: silent", colour, None))
                continue
            text = f"{stem}: median {box.median:.1f} {unit}, {box.least:.1f} to {box.most:.1f}"
            rows.append(
                Row(
                    *(stem, text, colour, box.median, box.low, box.high, box.least, box.most),
                    points=box.outliers,
                )
            )
        drawn = chart(rows, unit, title)
        out.append(f"<figure><figcaption>{html.escape(title)}</figcaption>{drawn}</figure>")
    lengths = [track.duration_s for track in check.tracks if track.problem is None]
    rows = []
    for colour, split in enumerate(dict.fromkeys(track.split for track in check.tracks)):
        of = [t.duration_s for t in check.tracks if t.split == split and t.problem is None]
        if (box := box_of(of)) is not None:
            text = f"{split}: median {box.median:.1f} s, {min(of):.1f} to {max(of):.1f}"
            rows.append(
                Row(
                    *(split, text, colour, box.median, box.low, box.high, box.least, box.most),
                    points=box.outliers,
                )
            )
    if lengths:
        drawn = chart(rows, "s", "Length of each track")
        out.append(f"<figure><figcaption>Length of each track</figcaption>{drawn}</figure>")
    return "".join((*out, "</div>"))


def _likeness(figures: Figures) -> str:
    stems: list[str] = figures.data["stems"]
    found = figures.data["totals"]["correlations"]
    if len(stems) < 2 or not found:
        return ""
    rows = []
    for one in stems:
        cells = [html.escape(one)]
        for two in stems:
            pair = next((p for p in (f"{one}/{two}", f"{two}/{one}") if p in found), None)
            if one == two or pair is None:
                cells.append("")
                continue
            at = pointer("totals", "correlations", pair)
            strength = min(1.0, found[pair]["most"])
            cells.append(
                f'<span style="background: rgb(63 127 217 / {0.6 * strength:.2f}); '
                f'padding: .15rem .4rem; border-radius: 3px">{figures.show(at + "/mean", "{:.2f}")}'
                f" / {figures.show(at + '/most', '{:.2f}')}</span>"
            )
        rows.append(cells)
    note = (
        "Magnitude of the correlation of two stems, over whole tracks: mean / greatest. Stems of "
        "one instrument each have nearly none; a great one says that one is contained in the other."
    )
    return f"<h2>Likeness of stems</h2>{table(['', *map(html.escape, stems)], rows, note)}"


def _curves(figures: Figures) -> str:
    tracks = figures.data["tracks"]
    drawn: list[str] = []
    for number, track in enumerate(tracks):
        if track["problem"] is None and len(drawn) < _MOST_CURVES:
            name = figures.show(pointer("tracks", number, "name"))
            drawn.append(
                f"<figure><figcaption>{name}</figcaption>{_strips(figures, track)}</figure>"
            )
    if not drawn:
        return ""
    more = (
        f"<p class=note>The first {_MOST_CURVES} tracks.</p>" if len(tracks) > _MOST_CURVES else ""
    )
    note = (
        "<p class=note>Level of each stem from start to end; the height of a strip is "
        f"{-_FLOOR_DB + _TOP_DB:.0f} dB, up to {_TOP_DB:.0f} dBFS RMS.</p>"
    )
    return f"<h2>Where stems sound</h2>{note}{more}{_PAIRS}{''.join(drawn)}</div>"


def _strips(figures: Figures, track: Mapping[str, Any]) -> str:
    """Level curves of a track's stems, one strip each."""
    stems = [stem for stem in figures.data["stems"] if stem in track["stems"]]
    label, height = 76, len(stems) * (_STRIP + 4) + 4
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {height}" role=img '
        f'aria-label="{html.escape("levels of " + readable(track["name"]), quote=True)}">'
    ]
    for row, stem in enumerate(stems):
        bottom = (row + 1) * (_STRIP + 4)
        levels = track["stems"][stem]["levels_db"]
        step = (_WIDTH - label - 4) / len(levels)
        points = [f"M{label} {bottom}"]
        for index, level in enumerate(levels):
            share = min(1.0, max(0.0, (level - _FLOOR_DB) / (_TOP_DB - _FLOOR_DB)))
            y = bottom - share * _STRIP
            points.append(f"L{label + index * step:.1f} {y:.1f}H{label + (index + 1) * step:.1f}")
        points.append(f"V{bottom}Z")
        colour = COLOURS[figures.data["stems"].index(stem) % len(COLOURS)]
        parts.append(f'<text class=soft x="2" y="{bottom - 4}">{html.escape(stem[:10])}</text>')
        parts.append(f'<path d="{"".join(points)}" fill="{colour}"/>')
        parts.append(
            f'<line class=grid x1="{label}" x2="{_WIDTH - 4}" y1="{bottom}" y2="{bottom}"/>'
        )
    return "".join(parts) + "</svg>"


def _tracks(figures: Figures) -> str:
    stems: list[str] = figures.data["stems"]
    rows = []
    for number, track in enumerate(figures.data["tracks"]):
        at = pointer("tracks", number)
        name = f"{figures.show(at + '/split')} / {figures.show(at + '/name')}"
        said = [f"problem: {figures.show(at + '/problem')}"] if track["problem"] else []
        said += [figures.show(f"{at}/notes/{i}") for i in range(len(track["notes"]))]
        cells = [name, figures.show(at + "/duration_s", "{:.1f}")]
        for stem in stems:
            if stem not in track["stems"]:
                cells.append("–")
                continue
            of = pointer("tracks", number, "stems", stem)
            loud = figures.show(of + "/loudness_lufs", "{:.1f}", none="silent")
            cells.append(f"{loud}<small>{figures.show(of + '/peak_db', '{:.1f}')}</small>")
        loud = "–"
        if track["mixture"]:
            loud = (
                f"{figures.show(at + '/mixture/loudness_lufs', '{:.1f}', none='silent')}"
                f"<small>{figures.show(at + '/mixture/peak_db', '{:.1f}')}</small>"
            )
        rows.append([*cells, loud, "<br>".join(said)])
    head = ["", "s", *map(html.escape, stems), "mixture", "notes"]
    note = "Loudness in LUFS (BS.1770-4), below it the peak in dBFS."
    return f"<h2>Tracks</h2>{table(head, rows, note)}"
