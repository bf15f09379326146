"""Layers on whole maps (rows, steps, width) of frequency, time and features, each of which enters
by a norm over the map and an activation; see `kernels/maps.hpp`."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from ctypes import Structure, c_float, c_int, c_long, c_void_p
from dataclasses import dataclass, field

import numpy as np

from unbraid.engines.native.library import kernels, pointer
from unbraid.engines.native.packing import pack
from unbraid.engines.native.sheets import Pool
from unbraid.engines.native.slices import Matrix, Slices
from unbraid.engines.native.weights import EPS, Weights
from unbraid.engines.native.winograd import INPUT_SIZES
from unbraid.shapes import Float, Float32

ACTIVATIONS = ("relu", "gelu", "elu")
"""In the order of `Activation` of maps.hpp."""

_BEYOND = 64
"""Values of a norm that are repeated behind the last: more than a panel and a vector hold."""


class Entry(Structure):
    """`Entry` of maps.hpp."""

    _fields_ = [
        *((name, c_void_p) for name in ("gain", "shift")),
        ("alpha", c_float),
        ("activation", c_int),
    ]
    held: tuple[np.ndarray, np.ndarray]
    """What it points to: songs side by side share a norm, but not this."""


class _JoinedMaps(Structure):
    """`JoinedMaps` of maps.hpp."""

    _fields_ = [
        ("at", c_void_p * 2),
        ("count", c_int),
        *((name, c_long) for name in ("rows", "steps", "width")),
    ]


class _Rescaling(Structure):
    """`Rescaling` of maps.hpp."""

    _fields_ = [
        ("packed", c_void_p),
        *((name, c_int) for name in ("outs", "down", "across")),
    ]


class _MapFilter(Structure):
    """`MapFilter` of map_filters.hpp."""

    _fields_ = [
        *((name, c_void_p) for name in ("packed", "sizes")),
        *((name, c_int) for name in ("bytes", "ins", "outs")),
    ]


class _RowsProduct(Structure):
    """`RowsProduct` of map_rows.hpp."""

    _fields_ = [
        ("weights", Matrix),
        ("entry", Entry),
        *((name, c_void_p) for name in ("in_", "out")),
        ("columns", c_long),
        ("size", c_float),
        *((name, c_int) for name in ("width", "adding")),
    ]


@dataclass
class Map:
    """A map in memory of a pool, and for each feature the sum and the sum of squares."""

    values: Float32[np.ndarray, "rows steps width"]
    sums: Float[np.ndarray, "two width"] = field(init=False)

    def __post_init__(self) -> None:
        self.sums = np.empty((2, self.values.shape[2]))

    @classmethod
    def of(cls, pool: Pool, *shape: int, lasting: bool = False) -> Map:
        """Of such a shape, whatever is in it."""
        return cls(pool.tokens(*shape, lasting=lasting))


Together = Sequence[Map]
"""One map, or two of the same shape whose features count as one after the other."""


def _maps(maps: Together) -> _JoinedMaps:
    at = (c_void_p * 2)(*(pointer(each.values) for each in maps))
    return _JoinedMaps(at, len(maps), *maps[0].values.shape)


def _ref(structure: Structure) -> object:
    return ctypes.byref(structure)


class Norm:
    """How maps enter a layer: a norm, then an activation.

    Args:
        weights: of the norm; none if there is none.
        kind: "instance", "batch", "group" or "none".
        groups: of features, for "group".
        activation: one of `ACTIVATIONS`.
        alpha: of "elu".
    """

    def __init__(
        self, weights: Weights, kind: str, groups: int, activation: str, alpha: float
    ) -> None:
        self._kind, self._groups = kind, groups
        self._activation, self._alpha = ACTIVATIONS.index(activation), alpha
        self._weight, self._bias = weights.get("weight"), weights.get("bias")
        if kind == "batch":
            self._mean, self._variance = weights["running_mean"], weights["running_var"]

    def __call__(self, maps: Together) -> Entry:
        """For maps whose sums are known."""
        sums = np.concatenate([each.sums for each in maps], axis=1)
        gain, shift = self._affine(sums, maps[0].values[..., 0].size)
        return self._entry(gain, shift)

    def plain(self, width: int) -> Entry:
        """The activation alone."""
        return self._entry(np.ones(width), np.zeros(width))

    def _affine(self, sums: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        width = sums.shape[1]
        if self._weight is None or self._bias is None:
            return np.ones(width), np.zeros(width)
        if self._kind == "batch":
            mean, variance = self._mean.astype(float), self._variance.astype(float)
        else:
            groups = self._groups if self._kind == "group" else width
            shared = sums.reshape(2, groups, -1).mean(axis=2) / count
            means, squares = np.repeat(shared, width // groups, axis=1)
            mean, variance = means, np.maximum(squares - means * means, 0)
        gain = self._weight / np.sqrt(variance + EPS)
        return gain, self._bias - mean * gain

    def _entry(self, gain: np.ndarray, shift: np.ndarray) -> Entry:
        size = len(gain) + _BEYOND
        gain, shift = (np.resize(each, size).astype(np.float32) for each in (gain, shift))
        entry = Entry(pointer(gain), pointer(shift), self._alpha, self._activation)
        entry.held = gain, shift
        return entry


class Filter3x3:
    """A convolution of 3x3 without a bias.

    Args:
        weight: (outs, ins, 3, 3); float16 stays so.
        adding: to what is there.
    """

    def __init__(self, norm: Norm, weight: Float[np.ndarray, "o i 3 3"], *, adding: bool) -> None:
        taps = weight.reshape(*weight.shape[:2], 9).transpose(2, 1, 0)
        self._packed = pack(taps, compact=True, many=0)
        self._sizes = np.kron(INPUT_SIZES, INPUT_SIZES).astype(np.float32)
        self._norm, self._adding = norm, adding
        where = (pointer(self._packed), pointer(self._sizes))
        self._struct = _MapFilter(*where, self._packed.itemsize, *weight.shape[1::-1])

    def __call__(self, maps: Together, out: Map, threads: int) -> None:
        """Around maps there is silence."""
        entry, seen = self._norm(maps), _maps(maps)
        to = (pointer(out.values), self._adding, pointer(out.sums))
        kernels().convolve_maps(_ref(self._struct), _ref(entry), _ref(seen), *to, threads)


class RowsLinear:
    """A linear map along rows, for each frame and feature; added to what is there if `adding`."""

    def __init__(self, norm: Norm, weight: Float[np.ndarray, "outs rows"], *, adding: bool) -> None:
        self._weight, self._norm, self._adding = Slices(weight), norm, adding

    def __call__(self, x: Map, out: Map, threads: int) -> None:
        """out (outs, steps, width) <- x (rows, steps, width)."""
        (_, steps, width), entry = x.values.shape, self._norm([x])
        of = _RowsProduct(
            weights=self._weight.struct,
            entry=entry,
            in_=pointer(x.values),
            out=pointer(out.values),
            columns=steps * width,
            size=self._weight.token_size,
            width=width,
            adding=self._adding,
        )
        kernels().multiply_rows(_ref(of), pointer(out.sums), threads)


class Mix:
    """A linear map of the features of each pixel, whose output takes the place of the first map.

    Args:
        weight: (outs, ins, 1, 1); ins are those of one or two maps of `outs` features.
    """

    def __init__(self, weight: Float[np.ndarray, "outs ins 1 1"]) -> None:
        self._packed = pack(weight[:, :, 0, 0].T[None])

    def __call__(self, maps: Together, threads: int) -> Map:
        """The first map, whose sums are no longer known."""
        seen, out = _maps(maps), maps[0]
        kernels().mix_features(pointer(self._packed), _ref(seen), pointer(out.values), threads)
        return out


class Rescale:
    """To fewer pixels with more features, or the other way.

    Args:
        weight: (outs, ins, across, down) of a convolution as far apart as it is large; if `growing`
            (ins, outs, across, down) of a transposed one.
    """

    def __init__(
        self, norm: Norm, weight: Float[np.ndarray, "a b across down"], *, growing: bool
    ) -> None:
        self._norm, self._growing = norm, growing
        across, down = weight.shape[2:]
        if growing:  # (down, across, ins, outs): the weights of each pixel for themselves
            taps = weight.transpose(3, 2, 0, 1).reshape(down * across, *weight.shape[:2])
            self._packed = np.concatenate([pack(tap[None]).reshape(-1) for tap in taps])
        else:
            taps = weight.transpose(3, 2, 1, 0).reshape(-1, len(weight))
            self._packed = pack(taps[None])
        self._width = weight.shape[1 if growing else 0]
        self._scale = (down, across)
        self._struct = _Rescaling(pointer(self._packed), self._width, down, across)

    def __call__(self, x: Map, pool: Pool, threads: int, *, lasting: bool) -> Map:
        """In memory of the pool."""
        sizes = zip(x.values.shape, self._scale, strict=False)
        shape = [size * scale if self._growing else size // scale for size, scale in sizes]
        out = Map.of(pool, *shape, self._width, lasting=lasting)
        entry, seen = self._norm([x]), _maps([x])
        run: Callable[..., None] = kernels().grow_map if self._growing else kernels().shrink_map
        to = (pointer(out.values), pointer(out.sums))
        run(_ref(self._struct), _ref(entry), _ref(seen), *to, threads)
        return out


_POINTS, _PANEL, _TILE = 36, 32, 4  # of a convolution; the most columns of a panel
_MANY, _FEW, _PATCH = 96, 256, 2316 * 64  # as in map_filters.hpp


def filter_floats(ins: int, outs: int, rows: int, steps: int) -> tuple[int, int]:
    """Memory of a `Filter3x3`, at most: shared by all threads, and of each."""
    tiles = -(-rows // _TILE) * -(-steps // _TILE)
    deep, wide = 2 * ins + _PANEL, -(-outs // _PANEL) * _PANEL
    if tiles <= _FEW:
        return _POINTS * (tiles + 1) * deep, _PATCH + _POINTS * _PANEL * (deep + tiles + 1)
    return _POINTS * wide * deep, _PATCH + _POINTS * (_MANY + 1) * (deep + _PANEL)


def rows_floats(rows: int) -> int:
    """Memory of a thread in a `RowsLinear`, at most."""
    return max(3 << 15, _PANEL * rows) + 16 * rows + 16 * _PANEL
