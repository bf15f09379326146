"""Scores as plain text for a terminal; every column names its score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from unbraid.cli.display import shorten
from unbraid.evaluation.baseline_figures import unbeaten
from unbraid.evaluation.baselines import BASELINES, IDEAL
from unbraid.evaluation.figures import ALL
from unbraid.evaluation.score_track import UNSTABLE
from unbraid.evaluation.scores import TrackScores
from unbraid.evaluation.summary import Summary
from unbraid.words import counted

_SHOWN = ("uSDR", "cSDR", "cISR", "cSIR", "cSAR", "SI-SDR")


def track_line(track: TrackScores) -> str:
    """One track in one line."""
    parts = []
    for stem, values in track.stems.items():
        silent = " (silent reference)" if values.silent_reference else ""
        parts.append(f"{stem} {decibel(values.value('nSDR'))}{silent}")
    return f"{shorten(track.name)}: nSDR {', '.join(parts)} dB"


def summary_text(summary: Summary) -> str:
    """All figures of an evaluation, with intervals, and its comparison."""
    lines = []
    if summary.leaked:
        lines += [f"LEAKED: {summary.leaked}. These scores say nothing about new songs.", ""]
    names = [name for name in _SHOWN if name in summary.figures]
    count = len(summary.tracks)
    lines.append(f"{summary.system}: {counted(count, 'track')}, dB [95 % interval over tracks]")
    rows = [["", *names]]
    for stem in _stems(summary.figures):
        cells = [summary.figures[name].get(stem) for name in names]
        rows.append([stem, *(_interval(vars(cell)) if cell else "" for cell in cells)])
    lines += _columns(rows)
    lines.append("uSDR: mean over songs of whole-song nSDR. cSDR: median over songs of the median")
    lines.append("over frames (BSSEval v4). The two cannot be compared with each other.")
    unstable = sum(any(n.startswith(UNSTABLE) for n in t.notes) for t in summary.tracks)
    if unstable:
        lines.append(
            f"{UNSTABLE} say nothing on {unstable} of {counted(count, 'track')}: see their notes"
        )
    silent = [
        f"{stem} of {track.name}"
        for track in summary.tracks
        for stem, values in track.stems.items()
        if values.silent_reference
    ]
    if silent:
        lines.append(f"silent references, left out of all figures: {', '.join(silent)}")
    if summary.baselines:
        lines += ["", *_baselines(summary)]
    if summary.comparison is not None:
        lines += ["", *_comparison(summary.comparison)]
    return "\n".join(lines)


def _baselines(summary: Summary) -> list[str]:
    """uSDR of the system between that of what needs no model and that of ideal masks."""
    rows = {name: summary.baselines[name] for name in BASELINES if name in summary.baselines}
    ideal = {name: rows.pop(name) for name in (IDEAL,) if name in rows}
    rows |= {summary.system: summary.figures} | ideal
    stems = _stems(summary.figures)
    lines = [["uSDR", *stems]]
    for name, figures in rows.items():
        found = figures["uSDR"]
        cells = [decibel(found[stem].value) if stem in found else "" for stem in stems]
        lines.append([name, *cells])
    text = _columns(lines)
    measured = sum(bool(track.baselines) for track in summary.tracks)
    if measured < len(summary.tracks):
        text.append(f"baselines: on {measured} of {counted(len(summary.tracks), 'track')}")
    for stem in unbeaten(summary.figures, summary.baselines):
        text.append(
            f"{stem.stem}: no better than {stem.baseline} "
            f"({decibel(stem.value)}, {decibel(stem.rival)} dB)"
        )
    return text


def decibel(value: float | None) -> str:
    """
    >>> decibel(7.678), decibel(float("nan"))
    ('7.68', '-')
    """
    return "-" if value is None or not math.isfinite(value) else f"{value:.2f}"


def _comparison(found: Mapping[str, Any]) -> list[str]:
    differences = found["differences"]
    names = [name for name in _SHOWN if name in differences]
    head = f"minus {found['with']}, on what both have ({counted(len(found['tracks']), 'track')})"
    leak = [f"LEAKED: {found['with']}: {found['leaked']}."] if found["leaked"] else []
    rows = [["", *names]]
    for stem in _stems(differences):
        cells = [differences[name].get(stem) for name in names]
        rows.append([stem, *(_difference(cell) if cell else "" for cell in cells)])
    note = "tracks with better / worse scores; an interval without 0 is a significant difference"
    return [*leak, head, *_columns(rows), note]


def _stems(figures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    found = dict.fromkeys(stem for stems in figures.values() for stem in stems)
    return sorted(found, key=lambda stem: stem != ALL)


def _interval(figure: Mapping[str, Any]) -> str:
    low, high = figure["low"], figure["high"]
    if low is None or not math.isfinite(low):
        return decibel(figure["value"])
    return f"{decibel(figure['value'])} [{decibel(low)}, {decibel(high)}]"


def _difference(cell: Mapping[str, Any]) -> str:
    return f"{_interval(cell)} {cell['wins']}/{cell['losses']}"


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
