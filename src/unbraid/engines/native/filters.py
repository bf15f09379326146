"""Layers that filter an image, halve it or double it, as the kernels run them; see filters.hpp.

The same layers as in `engines/numpy/layers.py`, where they are drawn out.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

from unbraid.engines.native.library import Filters, Image, kernels, pointer
from unbraid.engines.native.packing import pack, pack_bias
from unbraid.engines.native.winograd import MIXING
from unbraid.shapes import Float, Float32

_MANY = 1 << 17
"""Weights of a layer: more are not kept in mixed form, ten times the memory that a file takes."""
_FEW = 5
"""Features of a pixel: as many as are not worth Winograd's trouble."""
_POINTS, _LAST = 6, 5


Affine = tuple[Float32[np.ndarray, " o"], Float32[np.ndarray, " o"]]
"""Factor and offset of each feature."""


class _Layer:
    """Weights of a layer as the kernels want them; keeps alive what they point to."""

    def __init__(self, ins: int, bias: np.ndarray, norm: Affine | None) -> None:
        self.ins, self.outs = ins, len(bias)
        vectors = [pack_bias(v.astype(np.float32)) for v in (bias, *(norm or ()))]
        self._kept: list[np.ndarray] = vectors
        self._of = Filters(ins=ins, outs=self.outs)
        for name, vector in zip(("bias", "scale", "shift"), vectors, strict=False):
            setattr(self._of, name, pointer(vector))

    def _take(self, quarters: Sequence[Float[np.ndarray, "_h _w ins outs"]], axis: int) -> None:
        """Weights mixed, or as they are where they are many; `axis` as in `_joined`."""
        if sum(quarter.size for quarter in quarters) <= _MANY:
            self._mix([_joined(point, axis) for point in _mixed_quarters(quarters)])
        else:
            self._keep([quarter.reshape(-1, *quarter.shape[2:]) for quarter in quarters])

    def _mix(self, parts: Sequence[np.ndarray]) -> None:
        """Weights in panels, one part behind the other."""
        packed = np.concatenate([pack(part[None]).reshape(-1) for part in parts])
        self._kept.append(packed)
        self._of.mixed = pointer(packed)

    def _keep(self, quarters: Sequence[Float[np.ndarray, "_taps ins outs"]]) -> None:
        """Weights as they are, in panels."""
        for number, quarter in enumerate(quarters):
            packed = pack(quarter, compact=True, many=0)
            self._kept.append(packed)
            self._of.quarters[number] = pointer(packed)
            self._of.bytes = packed.itemsize


class Down(_Layer):
    """skip <- conv(x) + bias, and `to` <- leaky_relu(norm(skip)); see `numpy.layers.Down`."""

    def __init__(
        self,
        weight: Float[np.ndarray, "o i 5 5"],
        bias: Float[np.ndarray, " o"],
        norm: Affine | None,
    ) -> None:
        super().__init__(weight.shape[1], bias, norm)
        taps = weight.transpose(2, 3, 1, 0)
        self._few = self.ins <= _FEW
        if self._few:
            self._mix([taps.reshape(-1, self.outs)])
        else:
            self._take(_quarters(taps), 0)

    def __call__(
        self,
        x: Float32[np.ndarray, "h w i"],
        skip: Float32[np.ndarray, "n v o"],
        to: Float32[np.ndarray, "n v o"] | None,
        threads: int,
    ) -> None:
        """`x` is the inside of an image with margins of silence."""
        run = kernels().halve_few if self._few else kernels().halve
        into = Image() if to is None else _image(to)
        run(_ref(self._of), _ref(_image(x)), _ref(_image(skip)), _ref(into), threads)


class Up(_Layer):
    """to <- norm(relu(conv_transpose(x) + bias)); see `numpy.layers.Up`."""

    def __init__(
        self,
        weight: Float[np.ndarray, "i o 5 5"],
        bias: Float[np.ndarray, " o"],
        norm: Affine | None,
    ) -> None:
        super().__init__(weight.shape[0], bias, norm)
        # Taps from the last to the first: the first meets the latest row.
        quarters = _quarters(weight[:, :, ::-1, ::-1].transpose(2, 3, 0, 1))
        self._one = self.outs == 1
        if self._one:
            self._mix([weight.reshape(self.ins, 25)])
        else:
            self._take(quarters, 1)

    def __call__(
        self,
        x: Float32[np.ndarray, "h w i"],
        to: Float32[np.ndarray, "n v o"],
        threads: int,
    ) -> None:
        """`x` is the inside of an image with margins of silence."""
        run = kernels().redouble_to_one if self._one else kernels().redouble
        run(_ref(self._of), _ref(_image(x)), _ref(_image(to)), threads)


class Same(_Layer):
    """to <- relu(conv(x) + bias), or to <- to + conv(x) + bias, for a kernel of 3x3."""

    def __init__(
        self, weight: Float[np.ndarray, "o i 3 3"], bias: Float[np.ndarray, " o"], *, adding: bool
    ) -> None:
        super().__init__(weight.shape[1], bias, None)
        taps, self._adding = weight.transpose(2, 3, 1, 0), adding
        self._take([taps], 0)

    def __call__(
        self,
        x: Float32[np.ndarray, "h w i"],
        to: Float32[np.ndarray, "h w o"],
        threads: int,
    ) -> None:
        """Around `x` there is silence."""
        kernels().convolve(_ref(self._of), _ref(_image(x)), _ref(_image(to)), self._adding, threads)


def _quarters(taps: Float[np.ndarray, "5 5 i o"]) -> list[np.ndarray]:
    """Every second row and column: 3x3, 3x2, 2x3 and 2x2 taps."""
    return [taps[row::2, column::2] for row in range(2) for column in range(2)]


def _mixed_quarters(quarters: Sequence[np.ndarray]) -> list[list[np.ndarray]]:
    """For each of the 36 points the mixed (ins, outs) of the quarters that have a product there."""
    mixed = []
    for quarter in quarters:
        rows = np.tensordot(MIXING[:, : quarter.shape[0]], quarter.astype(np.float64), 1)
        whole = np.tensordot(MIXING[:, : quarter.shape[1]], rows, (1, 1))
        mixed.append(whole.astype(np.float32))  # (columns, rows, ins, outs)
    return [
        [
            whole[column, row]
            for number, whole in enumerate(mixed)
            if (number < 2 or row < _LAST) and (number % 2 == 0 or column < _LAST)
        ]
        for row, column in np.ndindex(_POINTS, _POINTS)
    ]


def _joined(point: Sequence[np.ndarray], axis: int) -> np.ndarray:
    """One matrix of the quarters at a point, each filled up to whole vectors or panels."""
    step = kernels().panel if axis else kernels().lanes
    last = kernels().lanes
    padded = []
    for part in point:
        ins, outs = part.shape
        # Rows are always whole vectors; columns, where quarters lie side by side, whole panels.
        size = (-(-ins // last) * last, -(-outs // step) * step if axis else outs)
        wide = np.zeros(size, np.float32)
        wide[:ins, :outs] = part
        padded.append(wide)
    return np.concatenate(padded, axis)


def _image(x: np.ndarray) -> Image:
    """A view (rows, columns, features) of an image, float32, features side by side."""
    row, pixel = (stride // 4 for stride in x.strides[:2])
    return Image(x.ctypes.data, row, pixel, *x.shape[:2])


def _ref(structure: ctypes.Structure) -> object:
    return ctypes.byref(structure)
