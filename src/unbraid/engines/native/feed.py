"""What tokens in panels (panels, width, lanes) pass in any transformer: projections and
feed-forward; see `kernels/feed.hpp`."""

from __future__ import annotations

import ctypes
from ctypes import Structure, c_float, c_long, c_void_p

import numpy as np

from unbraid.engines.native.library import kernels, pointer
from unbraid.engines.native.slices import Entrance, EntranceNorm, Matrix, Slices
from unbraid.shapes import Float32

_AFTER_GELU = 0.6
"""About what GELU leaves of the size of features."""


MOST_LANES = 32
"""Tokens in a panel, at most."""

_PANELS = 16  # that go together, at most


def in_panels(tokens: int, lanes: int = MOST_LANES) -> int:
    """Tokens with the empty ones of the last panel."""
    return -(-tokens // lanes) * lanes


def feed_floats(width: int, hidden: int) -> int:
    """Memory of a thread for features that become so many hidden ones, at most."""
    return _PANELS * MOST_LANES * (4 + width + hidden) + 16 * max(width, hidden)


class _Projection(Structure):
    """`Projection` of feed.hpp."""

    _fields_ = [
        ("weights", Matrix),
        ("entrance", Entrance),
        *((name, c_void_p) for name in ("x", "out")),
        *((name, c_long) for name in ("out_stride", "panels")),
    ]


_STRIDES = ("runs", "panels", "run_stride", "x_stride", "found_stride")


class _TokenFeed(Structure):
    """`TokenFeed` of feed.hpp."""

    _fields_ = [
        *((name, Matrix) for name in ("out", "wide", "narrow")),
        *((name, Entrance) for name in ("entrance", "last")),
        *((name, c_float) for name in ("out_size", "gain")),
        *((name, c_void_p) for name in ("x", "found")),
        *((name, c_long) for name in _STRIDES),
    ]


class Projection:
    """A norm, then a linear map."""

    def __init__(self, norm: EntranceNorm, matrix: Slices) -> None:
        self._norm, self._matrix = norm, matrix
        self.width = int(matrix.struct.rows)
        """Features that come out."""

    def __call__(self, x: Float32[np.ndarray, "p w l"], out: np.ndarray, threads: int) -> None:
        """out (panels, `width`, lanes) <- x projected."""
        panels, _, lanes = x.shape
        of = _Projection(
            weights=self._matrix.struct,
            entrance=self._norm.struct,
            x=pointer(x),
            out=pointer(out),
            out_stride=self.width * lanes,
            panels=panels,
        )
        kernels().project_tokens(ctypes.byref(of), threads)


class Feed:
    """x <- x + out(found); then x <- x + narrow(gelu(wide(norm(x)))); then the `last` norm, if any.

    Args:
        out: for what attention found.
        norm: on the way into `wide`.
        wide, narrow: of the feed-forward layer.
        last: a norm without a product behind it, or None.
    """

    def __init__(
        self,
        out: Slices,
        norm: EntranceNorm,
        wide: Slices,
        narrow: Slices,
        last: EntranceNorm | None = None,
    ) -> None:
        self._out, self._norm, self._wide, self._narrow, self._last = out, norm, wide, narrow, last
        self._gain = narrow.gain_for(_AFTER_GELU * wide.size_out(norm.size))
        self.hidden = int(wide.struct.rows)
        """Features between the two."""

    def __call__(
        self, x: Float32[np.ndarray, "... p w l"], found: int, found_width: int, threads: int
    ) -> None:
        """`x` may be a view of runs of panels, if each panel is whole. What attention found is at
        the address `found`, one panel behind the other, of `found_width` features, of which the
        first count."""
        *runs, panels, _, lanes = x.shape
        of = _TokenFeed(
            out=self._out.struct,
            wide=self._wide.struct,
            narrow=self._narrow.struct,
            entrance=self._norm.struct,
            last=Entrance() if self._last is None else self._last.struct,
            out_size=self._out.token_size,
            gain=self._gain,
            x=pointer(x),
            found=found,
            runs=runs[0] if runs else 1,
            panels=panels,
            run_stride=x.strides[0] // 4 if runs else 0,
            x_stride=x.strides[-3] // 4,
            found_stride=found_width * lanes,
        )
        kernels().feed_tokens(ctypes.byref(of), threads)
