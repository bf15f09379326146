"""What is around the filters of a network that masks spectrograms, in kernels: see masks.hpp."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

import numpy as np

from unbraid.engines.native.library import GruDirection, Wiener, kernels, pointer
from unbraid.engines.native.packing import pack
from unbraid.shapes import Complex64, Float, Float32

QUARTERS = {0.5: 2, 0.75: 3, 1.0: 4, 1.5: 6, 2.0: 8}
"""Exponents that take roots only, in quarters."""
_GATES = 3


class Mask:
    """outputs <- magnitudes * sigmoid(conv(x)), as `numpy.head.Head`."""

    def __init__(self, weight: Float[np.ndarray, "c 1 4 4"], bias: Float[np.ndarray, " c"]) -> None:
        self._weight = np.ascontiguousarray(weight.reshape(len(weight), 16), np.float32)
        self._bias = bias.astype(np.float32)

    def __call__(
        self,
        x: Float32[np.ndarray, "h w"],
        magnitudes: Float32[np.ndarray, "c m f"],
        outputs: Float32[np.ndarray, "c m f"],
        threads: int,
    ) -> None:
        """`x` with three rows and columns of zeros around it."""
        channels, rows, columns = outputs.shape
        steps = [stride // 4 for view in (magnitudes, outputs) for stride in view.strides[:2]]
        kernels().mask(
            pointer(self._weight), pointer(self._bias), channels, pointer(x), x.strides[0] // 4,
            pointer(magnitudes), *steps[:2], pointer(outputs), *steps[2:], rows, columns, threads,
        )  # fmt: skip


def share_out(
    outputs: Float32[np.ndarray, "s 2 n f"], exponent: float, silence: float, threads: int
) -> None:
    """outputs <- each stem's share in the sum of all, to a power that `QUARTERS` has."""
    stems = len(outputs)
    quarters = QUARTERS[exponent]
    kernels().share_out(pointer(outputs), stems, outputs.size // stems, quarters, silence, threads)


def filter_spectrum(
    shares: Float32[np.ndarray, "s 2 n f"],
    mixture: Complex64[np.ndarray, "2 n f"],
    found: Complex64[np.ndarray, "2 n f"],
    scale: float,
    stem: int,
    threads: int,
) -> None:
    """found <- one stem of a patch, as `numpy.wiener.filter_bins` has it; `found` lies as `mixture`
    does, of which it may be a part."""
    _, frames, bins = mixture.shape
    of = Wiener(
        mixture.ctypes.data, shares.ctypes.data, found.ctypes.data,
        *(stride // 4 for stride in mixture.strides[:2]),
        *(stride // 4 for stride in shares.strides[:3]),
        frames, bins, len(shares), stem, scale,
    )  # fmt: skip
    kernels().filter_spectrum(ctypes.byref(of), threads)


def gru_fits(units: int) -> bool:
    """Whether the kernels run a GRU of so many units."""
    return units % kernels().lanes == 0


class Gru:
    """Both directions of a GRU over one sequence.

    Args:
        directions: forth and back, each with `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh` as in
            torch.
    """

    def __init__(
        self, directions: tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]]
    ) -> None:
        self._entry = [
            (np.ascontiguousarray(way["weight_ih"].T), way["bias_ih"]) for way in directions
        ]
        self._packed = [pack(way["weight_hh"].T[None], _GATES, _GATES) for way in directions]
        self._bias = [np.ascontiguousarray(way["bias_hh"]) for way in directions]
        self._units = directions[0]["weight_hh"].shape[1]

    def __call__(
        self, x: Float32[np.ndarray, "n inputs"], threads: int
    ) -> Float32[np.ndarray, "n units2"]:
        """States of both directions."""
        entered = [x @ weight + bias for weight, bias in self._entry]
        out = np.empty((len(x), 2 * self._units), np.float32)
        ways = [
            GruDirection(
                pointer(entered[way]), pointer(self._packed[way]), pointer(self._bias[way]),
                pointer(out, way * self._units),
            )
            for way in range(2)
        ]  # fmt: skip
        refs = [ctypes.byref(way) for way in ways]
        kernels().gru(*refs, len(x), self._units, 2 * self._units, threads)
        return out
