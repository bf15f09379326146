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


_PANELS, _LANES = 16, 32
"""The most panels that go together, and the most tokens in one."""


def feed_floats(width: int, hidden: int) -> int:
    """Memory of a thread for features that become so many hidden ones, at most."""
    return _PANELS * _LANES * (4 + width + hidden) + 16 * max(width, hidden)


class _Projection(Structure):
    """`Projection` of feed.hpp."""

    _fields_ = [
        ("weights", Matrix),
        ("entrance", Entrance),
        *((name, c_void_p) for name in ("x", "out")),
        *((name, c_long) for name in ("out_stride", "panels")),
    ]


class _TokenFeed(Structure):
    """`TokenFeed` of feed.hpp."""

    _fields_ = [
        *((name, Matrix) for name in ("out", "wide", "narrow")),
        *((name, Entrance) for name in ("entrance", "last")),
        *((name, c_float) for name in ("out_size", "gain")),
        *((name, c_void_p) for name in ("x", "found")),
        *((name, c_long) for name in ("found_stride", "panels")),
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
        self, x: Float32[np.ndarray, "... w l"], found: int, found_width: int, threads: int
    ) -> None:
        """What attention found is at the address `found`, in panels of `found_width` features, of
        which the first count."""
        lanes = x.shape[-1]
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
            found_stride=found_width * lanes,
            panels=x.size // (x.shape[-2] * lanes),
        )
        kernels().feed_tokens(ctypes.byref(of), threads)
