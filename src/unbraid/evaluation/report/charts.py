"""Boxes and intervals as SVG, in the colours of the page they stand in."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_WIDTH, _ROW, _LABEL, _EDGE = 440, 22, 124, 34
COLOURS = ("#3f7fd9", "#d9822b", "#7a54c4", "#1f9d76", "#c93c66", "#8a8f2a")


@dataclass(frozen=True)
class Row:
    """One line of a chart.

    Attributes:
        label: at its left.
        text: all its numbers, for a pointer and for screen readers.
        colour: index into `COLOURS`.
        middle: median or mean; None leaves the line empty.
        low, high: the box, or the interval; None for a lone point.
        least, most: whiskers of a box.
        points: single values beyond them.
        group: heading above the first line of a group.
    """

    label: str
    text: str
    colour: int
    middle: float | None
    low: float | None = None
    high: float | None = None
    least: float | None = None
    most: float | None = None
    points: tuple[float, ...] = ()
    group: str = ""


@dataclass(frozen=True)
class Box:
    """What a box plot draws of some values.

    Attributes:
        median, low, high: the quartiles.
        least, most: the farthest values within 1.5 times the box from it.
        outliers: values beyond.
        count: how many values there are.
    """

    median: float
    low: float
    high: float
    least: float
    most: float
    outliers: tuple[float, ...]
    count: int


def box_of(values: Sequence[float]) -> Box | None:
    """The box of some values (Tukey); None for no value.

    >>> box_of([1.0, 2.0, 3.0, 4.0, 50.0]).outliers
    (50.0,)
    """
    if not values:
        return None
    ordered = np.sort(np.asarray(values, float))
    low, median, high = (float(q) for q in np.quantile(ordered, [0.25, 0.5, 0.75]))
    reach = 1.5 * (high - low)
    inside = ordered[(ordered >= low - reach) & (ordered <= high + reach)]
    outliers = ordered[(ordered < low - reach) | (ordered > high + reach)]
    return Box(
        *(median, low, high, float(inside[0]), float(inside[-1])),
        outliers=tuple(map(float, outliers)),
        count=len(ordered),
    )


def chart(
    rows: Sequence[Row], unit: str, title: str, limits: tuple[float, float] | None = None
) -> str:
    """A chart of boxes (with whiskers) or intervals (without), one to a line, on one scale.

    Args:
        rows: from top to bottom.
        unit: of the axis.
        title: what it shows, for screen readers.
        limits: of the axis; by default what the rows need.
    """
    low, high = limits or _limits(rows)
    ticks = _ticks(low, high)
    heads = sum(bool(row.group) for row in rows)
    height = len(rows) * _ROW + heads * 20 + _EDGE + 8
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {height}" role=img aria-label="{_escaped(title)}">',
    ]
    bottom = height - _EDGE
    for tick in ticks:
        x = _x(tick, low, high)
        parts.append(f'<line class=grid x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{bottom}"/>')
        text = f"{tick:g}".replace("-", "\N{MINUS SIGN}")
        parts.append(
            f'<text class=soft x="{x:.1f}" y="{bottom + 15}" text-anchor=middle>{text}</text>'
        )
    parts.append(
        f'<text class=soft x="{_WIDTH - 8}" y="{bottom + 30}" text-anchor=end>'
        f"{_escaped(unit)}</text>"
    )
    y = 4.0
    for row in rows:
        if row.group:
            y += 20
            parts.append(
                f'<text x="4" y="{y - 5:.1f}" font-weight="650">{_escaped(row.group)}</text>'
            )
        parts.append(_line(row, y + _ROW / 2, low, high))
        y += _ROW
    return "".join(parts) + "</svg>"


def _line(row: Row, y: float, low: float, high: float) -> str:
    colour = COLOURS[row.colour % len(COLOURS)]
    label = row.label if len(row.label) <= 17 else row.label[:16] + "…"
    parts = [
        f'<g stroke="{colour}" fill="{colour}"><title>{_escaped(row.text)}</title>',
        f'<text class=soft x="14" y="{y + 4:.1f}" stroke=none>{_escaped(label)}</text>',
        f'<rect x="0" y="{y - _ROW / 2:.1f}" width="{_WIDTH}" height="{_ROW}" fill="transparent" '
        "stroke=none />",
    ]

    def at(value: float) -> float:
        return _x(min(max(value, low), high), low, high)

    if row.least is not None and row.most is not None:
        parts.append(_stroke(at(row.least), at(row.most), y, 1.2))
    if row.low is not None and row.high is not None:
        left, right = at(row.low), at(row.high)
        if row.least is not None:
            parts.append(
                f'<rect x="{left:.1f}" y="{y - 6:.1f}" width="{max(right - left, 1):.1f}" '
                'height="12" fill-opacity=".28" rx="2"/>'
            )
        else:
            parts.append(_stroke(left, right, y, 2.4))
    parts += [
        f'<circle cx="{at(value):.1f}" cy="{y:.1f}" r="2.2" fill="none"/>' for value in row.points
    ]
    if row.middle is not None:
        x = at(row.middle)
        if row.least is not None:
            parts.append(f'<path d="M{x:.1f} {y - 7:.1f}v14" stroke-width="2.6"/>')
        else:
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.2" stroke=none />')
    return "".join(parts) + "</g>"


def _stroke(left: float, right: float, y: float, width: float) -> str:
    return f'<path d="M{left:.1f} {y:.1f}H{right:.1f}" stroke-width="{width}"/>'


def _x(value: float, low: float, high: float) -> float:
    return _LABEL + (value - low) / (high - low) * (_WIDTH - _LABEL - 16)


def _limits(rows: Sequence[Row]) -> tuple[float, float]:
    values = [
        value
        for row in rows
        for value in (row.middle, row.low, row.high, row.least, row.most, *row.points)
        if value is not None and math.isfinite(value)
    ]
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    room = max((high - low) * 0.04, 1e-3 * max(abs(low), abs(high)), 1e-6)
    return low - room, high + room


def _ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / 5
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * k for k in (1, 2, 5, 10) if size * k >= rough)
    first = math.ceil(low / step)
    count = math.floor(high / step) - first + 1
    return [round((first + k) * step, 10) for k in range(count)]


def _escaped(text: str) -> str:
    return html.escape(text, quote=True)
