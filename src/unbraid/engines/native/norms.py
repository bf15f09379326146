"""GroupNorm over all rows and steps of a sheet, and what follows it in the same pass."""

from __future__ import annotations

import ctypes
import math

import numpy as np

from unbraid.engines.native.library import kernels, pointer
from unbraid.engines.native.sheets import Sheet
from unbraid.engines.native.weights import EPS, Weights
from unbraid.shapes import Float32

Shape = tuple[int, int, int, int]
"""Rows, steps, width, and floats from one row to the next."""

_GELU, _GLU = 1, 2  # as `unbraid_group_norm` counts


def moments(at: int, shape: Shape, threads: int) -> tuple[float, float]:
    """Mean and variance of what is at an address."""
    found, (rows, steps, width, _) = (ctypes.c_double * 2)(), shape
    kernels().moments(at, *shape, found, threads)
    count = rows * steps * width
    mean = found[0] / count
    return mean, max(0.0, found[1] / count - mean * mean)


def standardize(at: int, shape: Shape, threads: int) -> tuple[float, float]:
    """Bring what is there to mean 0 and deviation 1; mean and deviation as they were."""
    mean, variance = moments(at, shape, threads)
    count = shape[0] * shape[1] * shape[2]
    std = math.sqrt(variance * count / max(1, count - 1))
    kernels().scale(at, *shape, mean, 1 / (1e-5 + std), threads)
    return mean, std


def gelu(x: Float32[np.ndarray, "f n w"], threads: int) -> None:
    """x <- GELU(x), for a map without gaps."""
    rows, steps, width = x.shape
    one, none = np.ones(width, np.float32), np.zeros(width, np.float32)
    kernels().group_norm(
        pointer(x), rows, steps, width, steps * width, 0, pointer(one), pointer(none), EPS, _GELU,
        None, 0, threads,
    )  # fmt: skip


class GroupNorm:
    """A norm over groups of features and what follows it; without weights there is no norm."""

    def __init__(self, weights: Weights, groups: int) -> None:
        self._weight = self._bias = None
        self._groups = groups
        if "weight" in weights:
            self._weight, self._bias = weights["weight"], weights["bias"]

    def gelu(self, x: Sheet, threads: int) -> None:
        """x <- GELU(norm(x))."""
        self._run(x, _GELU, None, threads)

    def glu(self, x: Sheet, out: Sheet, threads: int) -> None:
        """out <- GLU(norm(x))."""
        self._run(x, _GLU, out, threads)

    def _run(self, x: Sheet, then: int, out: Sheet | None, threads: int) -> None:
        groups, weight, bias = self._groups, self._weight, self._bias
        if weight is None or bias is None:
            groups, weight, bias = 0, np.ones(x.width, np.float32), np.zeros(x.width, np.float32)
        kernels().group_norm(
            x.at(),
            x.rows,
            x.steps,
            x.width,
            x.row_stride,
            groups,
            pointer(weight),
            pointer(bias),
            EPS,
            then,
            None if out is None else out.at(),
            0 if out is None else out.row_stride,
            threads,
        )
