"""To a quarter of the sample rate and back in numpy. See `models/quarter_rate.py`."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from unbraid.models import quarter_rate as numbers

_PRODUCTS = 1 << 19
"""Multiplications at once."""


def to_quarter_rate(x: Float32[np.ndarray, "... t"]) -> Float32[np.ndarray, "... t2"]:
    """(..., t) -> (..., ceil(t / 4)): sample k is at the moment of sample 4 k."""
    count = -(-x.shape[-1] // numbers.FACTOR)
    blocks = -(-count // numbers.LOW_BLOCK)
    return _filtered(x, numbers.HALF, blocks, numbers.FULL_BLOCK, numbers.down_matrix(), count)


def from_quarter_rate(
    y: Float32[np.ndarray, "... t"], samples: int
) -> Float32[np.ndarray, "... t2"]:
    """(..., t) -> (..., samples), where `samples` is at most 4 t."""
    blocks = -(-samples // numbers.FULL_BLOCK)
    return _filtered(y, numbers.LOW_BEFORE, blocks, numbers.LOW_BLOCK, numbers.up_matrix(), samples)


def with_low_band(
    full: Float32[np.ndarray, "... t"], low: Float32[np.ndarray, "... t2"]
) -> Float32[np.ndarray, "... t"]:
    """(..., t), its lowest quarter taken from `low` (..., ceil(t / 4))."""
    joined = from_quarter_rate(low - to_quarter_rate(full), full.shape[-1])
    joined += full
    return joined


def _filtered(
    signal: np.ndarray, before: int, blocks: int, step: int, matrix: np.ndarray, count: int
) -> np.ndarray:
    """The blocks of a signal, of which `before` samples come first, through a matrix.

    A few blocks at a time: they stay in the cache, and no product is so large that the library
    starts threads for it, which would then be in the way of the model's own.
    """
    made = np.empty((*signal.shape[:-1], blocks * matrix.shape[1]), np.float32)
    behind = (blocks - 1) * step + len(matrix) - before - signal.shape[-1]
    at_once = _PRODUCTS // matrix.size
    for place in np.ndindex(signal.shape[:-1]):
        padded = np.pad(signal[place], (before, behind))
        seen = np.lib.stride_tricks.sliding_window_view(padded, len(matrix))[::step]
        rows = made[place].reshape(blocks, -1)
        for first in range(0, blocks, at_once):
            some = slice(first, first + at_once)
            np.matmul(np.ascontiguousarray(seen[some]), matrix, out=rows[some])
    return made[..., :count]
