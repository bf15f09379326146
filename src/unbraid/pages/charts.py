"""Boxes, intervals, curves and level strips as SVG, in the colours of the page they are in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from unbraid.pages.page import environment

COLOURS = ("#3f7fd9", "#d9822b", "#7a54c4", "#1f9d76", "#c93c66", "#8a8f2a")

_WIDTH = 440
_ROW, _LABEL, _FOOT, _HEADING = 22, 124, 34, 20
_LONGEST_LABEL = 17
_CURVES_WIDTH, _CURVES_HEIGHT = 620, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 12, 10, 34
_MOST_POINTS, _MOST_DOTS = 400, 40
_STRIP, _STRIP_GAP, _STRIP_LABEL = 18, 4, 76


@dataclass(frozen=True)
class Row:
    """One line of a chart of boxes or intervals.

    Attributes:
        label: shown at the left.
        text: all its numbers, for the tooltip and screen readers.
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

    @property
    def short_label(self) -> str:
        """The label, cut to the available width."""
        if len(self.label) <= _LONGEST_LABEL:
            return self.label
        return self.label[: _LONGEST_LABEL - 1] + "…"

    @property
    def shade(self) -> str:
        """The colour, for SVG."""
        return colour(self.colour)


@dataclass(frozen=True)
class Box:
    """The values that a box plot draws.

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

    def row(self, label: str, text: str, colour: int, group: str = "") -> Row:
        """The line of a chart that draws this box."""
        return Row(
            *(label, text, colour, self.median, self.low, self.high, self.least, self.most),
            points=tuple(self.outliers),
            group=group,
        )


@dataclass(frozen=True)
class Curve:
    """A line over the steps of a run.

    Attributes:
        name: in the legend.
        points: (step, value), by step; values that are not finite break the line.
    """

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class _Scale:
    """Values to places along one axis of an SVG."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return self.start + share * (self.end - self.start)

    def clipped(self, value: float) -> float:
        """The place of a value, limited to the axis."""
        return self(min(max(value, self.low), self.high))

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Places and texts of round numbers."""
        return [(self(tick), _signed(tick)) for tick in ticks(self.low, self.high)]


def colour(number: int) -> str:
    """One of `COLOURS`, which repeat."""
    return COLOURS[number % len(COLOURS)]


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
) -> Markup:
    """A chart of boxes (with whiskers) or intervals (without), one to a line, on one scale.

    Args:
        rows: from top to bottom.
        unit: of the axis.
        title: what it shows, for screen readers.
        limits: of the axis; by default from the rows.
    """
    values = [
        value
        for row in rows
        for value in (row.middle, row.low, row.high, row.least, row.most, *row.points)
        if value is not None and math.isfinite(value)
    ]
    low, high = limits or _limits(values, 0.04)
    lines, y = [], 4.0
    for row in rows:
        y += _HEADING if row.group else 0
        lines.append((row, y + _ROW / 2))
        y += _ROW
    return _draw(
        "boxes",
        *(title, unit, lines, _Scale(low, high, _LABEL, _WIDTH - 16)),
        *(_WIDTH, y + _FOOT + 4, _ROW, _FOOT),
    )


def curves_chart(curves: Sequence[Curve], title: str, unit: str) -> Markup:
    """A figure of curves on one scale, with a legend; "" if there is nothing to show.

    Args:
        curves: with more than six, colours repeat.
        title: what it shows, for screen readers.
        unit: of the values.
    """
    curves = [Curve(curve.name, thinned(curve.points)) for curve in curves]
    points = [p for curve in curves for p in curve.points if math.isfinite(p[1])]
    if not points:
        return Markup("")
    steps = [step for step, _ in points]
    x = _Scale(min(steps), max(steps), _LEFT, _CURVES_WIDTH - _RIGHT)
    y = _Scale(*_limits([value for _, value in points], 0.05), _CURVES_HEIGHT - _BOTTOM, _TOP)
    lines = [
        (
            *(curve.name, colour(number), _path(curve.points, x, y)),
            [p for p in curve.points if math.isfinite(p[1]) and len(curve.points) <= _MOST_DOTS],
        )
        for number, curve in enumerate(curves)
    ]
    return _draw("curves", title, unit, lines, x, y, _CURVES_WIDTH, _CURVES_HEIGHT)


def strips_chart(
    levels_db: Mapping[str, Sequence[float]],
    colours: Mapping[str, str],
    title: str,
    limits_db: tuple[float, float],
) -> Markup:
    """Levels over time, one strip for each name.

    Args:
        levels_db: values at equal distances from start to end.
        colours: of each name.
        title: what it shows, for screen readers.
        limits_db: levels of no height and of full height.
    """
    height = len(levels_db) * (_STRIP + _STRIP_GAP) + _STRIP_GAP
    strips = []
    for row, (name, levels) in enumerate(levels_db.items()):
        bottom = (row + 1) * (_STRIP + _STRIP_GAP)
        x = _Scale(0, len(levels), _STRIP_LABEL, _WIDTH - 4)
        y = _Scale(*limits_db, bottom, bottom - _STRIP)
        edges = (
            f"L{x(i):.1f} {y.clipped(level):.1f}H{x(i + 1):.1f}" for i, level in enumerate(levels)
        )
        outline = f"M{_STRIP_LABEL} {bottom}{''.join(edges)}V{bottom}Z"
        strips.append((name[:10], colours[name], outline, bottom))
    return _draw("strips", title, strips, _STRIP_LABEL, _WIDTH, height)


def thinned(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """At most a few hundred points: means over groups of neighbours.

    >>> len(thinned([(k, 1.0) for k in range(10_000)])) <= 400
    True
    """
    size = max(1, math.ceil(len(points) / _MOST_POINTS))
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return tuple((group[-1][0], sum(value for _, value in group) / len(group)) for group in groups)


def ticks(low: float, high: float) -> list[float]:
    """Round numbers between two others, about five.

    >>> ticks(0.0, 1.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if high <= low:
        return [low]
    rough = (high - low) / 5
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * k for k in (1, 2, 5, 10) if size * k >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 10) for k in range(first, last + 1)]


def _path(points: Sequence[tuple[float, float]], x: _Scale, y: _Scale) -> str:
    """The line through points, broken where a value is not finite."""
    parts, pen = [], "M"
    for step, value in points:
        if not math.isfinite(value):
            pen = "M"
            continue
        parts.append(f"{pen}{x(step):.1f} {y(value):.1f}")
        pen = "L"
    return "".join(parts)


def _limits(values: Sequence[float], margin: float) -> tuple[float, float]:
    """The ends of an axis: the values, and a share of their range on both sides."""
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    room = max((high - low) * margin, 1e-3 * max(abs(low), abs(high)), 1e-9)
    return low - room, high + room


def _signed(value: float) -> str:
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")


def _draw(name: str, *values: object) -> Markup:
    drawing = environment("unbraid.pages").get_template("charts.html").module
    return Markup(getattr(drawing, name)(*values))
