"""Weights for products of tokens in lanes (`kernels/lanes.hpp`), and how tokens enter them."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from ctypes import Structure, c_float, c_int, c_void_p

import numpy as np

from unbraid.engines.native.library import aligned, kernels, pointer
from unbraid.shapes import Float
from unbraid.threads import processors

EMPTY = -1
"""In an order of rows: a row of zeros."""

_ROWS = 32
"""As many of a matrix as fit well into a cache."""


class Matrix(Structure):
    """`Matrix` of lanes.hpp."""

    _fields_ = [
        *((name, c_void_p) for name in ("packed", "bias", "scale", "products")),
        *((name, c_int) for name in ("bytes", "rows", "depth")),
    ]


class Entrance(Structure):
    """`Entrance` of lanes.hpp."""

    _fields_ = [("factors", c_void_p), ("gain", c_float), ("width", c_int), ("normed", c_int)]


class Slices:
    """A matrix (rows, depth) packed in slices; `struct` points into what this object holds.

    Args:
        weight: any view, float16 or float32; float16 stays so.
        bias: (rows,), or None.
        scale: of the output of each row, before the bias; None for 1.
        order: which row of the weight is where, or `EMPTY`; None: as they are.
    """

    def __init__(
        self,
        weight: Float[np.ndarray, "rows depth"],
        bias: Float[np.ndarray, " rows"] | None = None,
        order: Sequence[int] | np.ndarray | None = None,
        scale: Float[np.ndarray, " rows"] | None = None,
    ) -> None:
        if weight.dtype not in (np.float16, np.float32):
            weight = weight.astype(np.float32)
        width = kernels().slice
        order = np.arange(len(weight)) if order is None else np.asarray(order)
        rows, depth = len(order), weight.shape[1]
        order = np.pad(order, (0, -rows % width), constant_values=EMPTY)
        self._packed = _pack(weight, order, width)
        self._bias, self._scale = (
            None if x is None else np.where(order < 0, 0, x[order]).astype(np.float32)
            for x in (bias, scale)
        )
        self._products, squares = _sums(self._packed)
        self.size = math.sqrt(float(squares.sum()) / max(1, rows * depth))
        """Root of the mean square of the weights."""
        self.struct = Matrix(
            packed=pointer(self._packed),
            bias=None if self._bias is None else pointer(self._bias),
            scale=None if self._scale is None else pointer(self._scale),
            products=pointer(self._products) if kernels().pairs else None,
            bytes=self._packed.itemsize,
            rows=rows,
            depth=depth,
        )

    @property
    def token_size(self) -> float:
        """The root of the mean square that tokens are best scaled to, each by itself; 1 where
        nothing is multiplied in pairs."""
        return self.size if kernels().pairs and self.size > 0 else 1.0

    def size_out(self, size: float) -> float:
        """About how large features are behind the matrix, as the root of their mean square, if they
        are so large before."""
        spread = size * self.size * math.sqrt(self.struct.depth)
        return math.hypot(spread, 0.0 if self._bias is None else root_mean_square(self._bias))

    def gain_for(self, size: float) -> float:
        """The power of two that makes features as large as the weights, if their root of the mean
        square is `size`; 1 where nothing is multiplied in pairs."""
        if not (kernels().pairs and self.size > 0 and 0 < size < math.inf):
            return 1.0
        return float(2.0 ** round(math.log2(self.size / size)))


class EntranceNorm:
    """A norm on the way into a product; `struct` points into what this object holds.

    Args:
        gamma: (width,), factors of the norm; None: features enter as they are.
        width: how many features there are.
        size: of features that enter as they are, as the root of their mean square.
        into: what they are multiplied with; None: nothing, the norm is all.
        centred: a LayerNorm, whose bias belongs to what follows (`with_bias`), not an RMS norm.
    """

    def __init__(
        self,
        gamma: Float[np.ndarray, " width"] | None,
        width: int,
        into: Slices | None,
        size: float = 1.0,
        *,
        centred: bool = False,
    ) -> None:
        factors = np.ones(width, np.float32)
        if gamma is not None:
            length = 1.0 if centred else math.sqrt(width)
            factors = np.asarray(gamma, np.float32) * np.float32(length)
        self.size = size if gamma is None else root_mean_square(gamma)
        gain = 1.0 if into is None else into.gain_for(self.size)
        self._factors = factors * np.float32(gain)
        self.struct = Entrance(
            factors=pointer(self._factors),
            gain=gain,
            width=width,
            normed=0 if gamma is None else 1 + centred,
        )


def with_bias(
    weight: Float[np.ndarray, "rows depth"],
    bias: Float[np.ndarray, " rows"],
    before: Float[np.ndarray, " depth"],
) -> Float[np.ndarray, " rows"]:
    """The bias of a linear map, to whose input a bias was to be added before."""
    # Not by numpy's product, whose threads would wait for more to do while the kernels compute; and
    # some rows at a time, which take no memory that the system would have to give first.
    rows = range(0, len(weight), _ROWS)
    sums = [(weight[n : n + _ROWS].astype(np.float32) * before).sum(axis=1) for n in rows]
    whole: np.ndarray = bias + np.concatenate(sums)
    return whole


def root_mean_square(x: np.ndarray) -> float:
    """How large numbers are."""
    return float(np.sqrt(np.mean(np.square(x, dtype=float))))


def _pack(weight: np.ndarray, order: np.ndarray, width: int) -> Float[np.ndarray, "slices k w"]:
    step, inner = (stride // weight.itemsize for stride in weight.strides)
    empty = np.iinfo(np.int64).min
    offsets = np.ascontiguousarray(np.where(order < 0, empty, order * step), np.int64)
    packed = aligned(len(order) // width, weight.shape[1], width, dtype=weight.dtype)
    source = (weight.ctypes.data, weight.itemsize, pointer(offsets))
    shape = (len(packed), width, 1, weight.shape[1], 0, inner)
    kernels().pack(*source, *shape, pointer(packed), packed.itemsize, _threads())
    return packed


def _sums(packed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row the sum of products of pairs, and of squares."""
    slices, depth, width = packed.shape
    products, squares = np.empty((2, slices * width), np.float32)
    kernels().slice_sums(
        pointer(packed),
        packed.itemsize,
        slices,
        depth,
        pointer(products),
        pointer(squares),
        _threads(),
    )
    return products, squares


def _threads() -> int:
    return min(2, len(processors()))


def array_of(structs: Sequence[Structure]) -> ctypes.Array[Structure]:
    """Structures one behind the other; they may point into others that must outlive them."""
    return (type(structs[0]) * len(structs))(*structs)
