"""Curves over the steps of a run as SVG, in the colours of the page they stand in."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from unbraid.evaluation.report.charts import COLOURS

_WIDTH, _HEIGHT = 620, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 12, 10, 34
_MOST_POINTS = 400


@dataclass(frozen=True)
class Curve:
    """A line of a chart.

    Attributes:
        name: in the legend.
        points: (step, value), by step; values that are not finite break the line.
    """

    name: str
    points: tuple[tuple[float, float], ...]


def curves_chart(curves: Sequence[Curve], title: str, unit: str) -> str:
    """A figure of curves on one scale, with a legend; nothing if there is nothing to show.

    Args:
        curves: with six colours at most, more begin anew.
        title: what it shows, for screen readers.
        unit: of the values.
    """
    curves = [Curve(curve.name, thinned(curve.points)) for curve in curves]
    points = [p for curve in curves for p in curve.points if math.isfinite(p[1])]
    if not points:
        return ""
    scale = _Scale(
        (min(p[0] for p in points), max(p[0] for p in points)),
        _limits([p[1] for p in points]),
    )
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role=img aria-label="{_escaped(title)}">',
        *_grid(scale, unit),
        *(_line(curve, number, scale) for number, curve in enumerate(curves)),
        "</svg>",
    ]
    legend = " ".join(
        f'<span style="white-space:nowrap"><span style="color:{_colour(number)}">\N{EM DASH}</span>'
        f" {_escaped(curve.name)}</span>"
        for number, curve in enumerate(curves)
    )
    return f"<figure>{''.join(parts)}<figcaption>{legend}</figcaption></figure>"


def thinned(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """At most some hundred points: means of as many neighbours as it takes.

    >>> len(thinned([(k, 1.0) for k in range(10_000)])) <= 400
    True
    """
    size = max(1, math.ceil(len(points) / _MOST_POINTS))
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return tuple((group[-1][0], sum(value for _, value in group) / len(group)) for group in groups)


@dataclass(frozen=True)
class _Scale:
    steps: tuple[float, float]
    values: tuple[float, float]

    def x(self, step: float) -> float:
        low, high = self.steps
        share = (step - low) / (high - low) if high > low else 0.5
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        low, high = self.values
        return _HEIGHT - _BOTTOM - (value - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)


def _grid(scale: _Scale, unit: str) -> list[str]:
    parts = []
    for tick in ticks(*scale.values):
        y = scale.y(tick)
        parts.append(f'<path class=grid d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
        text = f"{tick:g}".replace("-", "\N{MINUS SIGN}")
        parts.append(
            f'<text class=soft x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor=end>{text}</text>'
        )
    bottom = _HEIGHT - _BOTTOM + 16
    for tick in ticks(*scale.steps):
        parts.append(
            f'<text class=soft x="{scale.x(tick):.1f}" y="{bottom}" text-anchor=middle>'
            f"{tick:g}</text>"
        )
    parts.append(
        f'<text class=soft x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 4}" text-anchor=end>step</text>'
        f'<text class=soft x="{_LEFT}" y="{_HEIGHT - 4}">{_escaped(unit)}</text>'
    )
    return parts


def _line(curve: Curve, number: int, scale: _Scale) -> str:
    colour, path, pen = _colour(number), [], "M"
    for step, value in curve.points:
        if not math.isfinite(value):
            pen = "M"
            continue
        path.append(f"{pen}{scale.x(step):.1f} {scale.y(value):.1f}")
        pen = "L"
    dots = ""
    if len(curve.points) <= 40:
        dots = "".join(
            f'<circle cx="{scale.x(step):.1f}" cy="{scale.y(value):.1f}" r="2.4" fill="{colour}">'
            f"<title>{_escaped(curve.name)}, step {step:g}: {value:.5g}</title></circle>"
            for step, value in curve.points
            if math.isfinite(value)
        )
    return f'<path d="{"".join(path)}" fill=none stroke="{colour}" stroke-width="1.6"/>{dots}'


def ticks(low: float, high: float) -> list[float]:
    """Round numbers between two others, five or so.

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


def _limits(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = max((high - low) * 0.05, 1e-3 * abs(high), 1e-9)
    return low - room, high + room


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _escaped(text: str) -> str:
    return html.escape(text, quote=True)
