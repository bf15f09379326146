"""To a quarter of the sample rate and back, and one band exchanged for another.

Both ways go through the same low-pass filter, without delay: a sample at the quarter rate is the
mean of those around its own moment. What is filtered is a signal cut into overlapping blocks, so
that the filter is a product with one small matrix:

    x  |--- 84 ---|=========== 64 ===========|--- 84 ---|    232 samples -> 16 at a quarter
    y       |- 21 -|==== 16 ====|- 21 -|                     58 samples -> 64 at full rate
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from unbraid.models.compose.namespace import namespace

FACTOR = 4
HALF = 84
"""Samples before and behind its middle that the filter sees, at full rate."""
LOW_BLOCK, FULL_BLOCK = 16, 64
LOW_SEEN, FULL_SEEN = 58, 232
LOW_BEFORE = HALF // FACTOR

_PASSED, _STOPPED_DB = 0.76, 80.0
"""Share of the lower band that passes, up to 4.2 kHz at 44.1 kHz; attenuation of what is above."""


def to_quarter_rate(x: Any) -> Any:
    """(..., t) -> (..., ceil(t / 4)): sample k has the time of sample 4 k."""
    xp, count = namespace(x), -(-x.shape[-1] // FACTOR)
    blocks = -(-count // LOW_BLOCK)
    return xp.filtered(xp.wide(x), HALF, blocks, FULL_BLOCK, down_matrix())[..., :count]


def from_quarter_rate(y: Any, samples: int) -> Any:
    """(..., t) -> (..., samples), where `samples` is at most 4 t."""
    xp, blocks = namespace(y), -(-samples // FULL_BLOCK)
    return xp.filtered(xp.wide(y), LOW_BEFORE, blocks, LOW_BLOCK, up_matrix())[..., :samples]


def with_low_band(full: Any, low: Any) -> Any:
    """(..., t), its lowest quarter taken from `low` (..., ceil(t / 4))."""
    return full + from_quarter_rate(low - to_quarter_rate(full), full.shape[-1])


@functools.cache
def down_matrix() -> np.ndarray:
    """(232, 16): samples at full rate -> those at a quarter of it."""
    taps = _taps()
    matrix = np.zeros((FULL_SEEN, LOW_BLOCK), np.float32)
    for index in range(LOW_BLOCK):
        matrix[FACTOR * index : FACTOR * index + len(taps), index] = taps
    return matrix


@functools.cache
def up_matrix() -> np.ndarray:
    """(58, 64): samples at a quarter of the rate -> those at full rate."""
    taps = FACTOR * _taps()
    matrix = np.zeros((LOW_SEEN, FULL_BLOCK), np.float32)
    for seen in range(LOW_SEEN):
        for index in range(FULL_BLOCK):
            place = index + 2 * HALF - FACTOR * seen
            if 0 <= place < len(taps):
                matrix[seen, index] = taps[place]
    return matrix


def _taps() -> np.ndarray:
    """A windowed sinc (Kaiser); its sum is 1."""
    beta = 0.1102 * (_STOPPED_DB - 8.7)
    cutoff = (1 + _PASSED) / 2 / FACTOR
    taps = np.sinc(cutoff * np.arange(-HALF, HALF + 1)) * np.kaiser(2 * HALF + 1, beta)
    shares: np.ndarray = taps / taps.sum()
    return shares
