"""The roofline: how fast each part computes, against what it computes for each byte it needs."""

from __future__ import annotations

import math
from html import escape
from typing import Any

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 900, 620, 70, 60
_SPAN_X, _SPAN_Y = (2.0, 2048.0), (32.0, 256.0)  # operations a byte, GFLOP/s


def draw(result: dict[str, Any]) -> str:
    """An SVG of what benchmarks/parts.py measured, on one thread."""
    peak, copy = result["product_gflops"], result["copy_gb_s"]
    shapes = [*_axes(), _roof(peak, copy)]
    for row in result["rows"]:
        if not row["gflop"] or not row["traffic_mb"]:
            continue
        x, y = 1000 * row["gflop"] / row["traffic_mb"], row["gflop"] / row["s"]
        left, top = _place(x, y)
        shapes.append(f'<circle cx="{left:.1f}" cy="{top:.1f}" r="4"/>')
        name, before = escape(row["part"].replace(", level", "")), row["part"].startswith("time")
        side = (
            f'x="{left + (-7 if before else 7):.1f}" text-anchor="{"end" if before else "start"}"'
        )
        shapes.append(f'<text {side} y="{top + 4:.1f}">{name}</text>')
    title = (
        f"One thread: {peak} GFLOP/s in products, {copy} GB/s in copies; plain operations counted"
    )
    shapes.append(f'<text x="{_LEFT}" y="20">{escape(title)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="#fff"/>'
        + "".join(shapes)
        + "</svg>\n"
    )


def _place(x: float, y: float) -> tuple[float, float]:
    across = math.log(x / _SPAN_X[0]) / math.log(_SPAN_X[1] / _SPAN_X[0])
    up = math.log(y / _SPAN_Y[0]) / math.log(_SPAN_Y[1] / _SPAN_Y[0])
    left = _LEFT + across * (_WIDTH - _LEFT - 40)
    return left, _HEIGHT - _BOTTOM - up * (_HEIGHT - _BOTTOM - 40)


def _roof(peak: float, copy: float) -> str:
    left = max(_SPAN_X[0], _SPAN_Y[0] / copy)
    corners = [(left, left * copy), (peak / copy, peak), (_SPAN_X[1], peak)]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (_place(*corner) for corner in corners))
    return f'<polyline points="{points}" fill="none" stroke="#c33" stroke-width="2"/>'


def _axes() -> list[str]:
    shapes = []
    for power in range(1, 12):
        left, bottom = _place(2.0**power, _SPAN_Y[0])
        shapes.append(_line(left, bottom, left, 40))
        shapes.append(f'<text x="{left - 8:.1f}" y="{bottom + 16:.1f}">{2**power}</text>')
    for power in range(5, 9):
        left, top = _place(_SPAN_X[0], 2.0**power)
        shapes.append(_line(left, top, _WIDTH - 40, top))
        shapes.append(f'<text x="{left - 30:.1f}" y="{top + 4:.1f}">{2**power}</text>')
    below, beside = _HEIGHT - 20, _HEIGHT / 2
    shapes.append(f'<text x="{_WIDTH / 2 - 80}" y="{below}">operations for each byte</text>')
    turned = f'transform="rotate(-90 18 {beside})"'
    return [*shapes, f'<text x="18" y="{beside}" {turned}>GFLOP/s</text>']


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="#ddd"/>'
