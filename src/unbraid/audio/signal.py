"""Sound in memory: its type, and how it is cut into blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from unbraid.shapes import Float32, Int32

Signal = Float32[np.ndarray, "c t"]
"""Sound: (channels, samples), full scale at ±1."""

OtherSignal = Float32[np.ndarray, "c u"]
"""Sound of the same channels and another length."""

IntegerSignal = Int32[np.ndarray, "c t"]
"""Quantized sound: (channels, samples), full scale at ±2^(bits - 1)."""


def recut(blocks: Iterable[np.ndarray], channels: int, block_samples: int) -> Iterator[np.ndarray]:
    """Cut blocks of any length into blocks of `block_samples`; the last one holds what is left.

    Args:
        blocks: arrays of (channels, any number of samples); empty ones are fine.
        channels: how many channels every block has.
        block_samples: length of the blocks that come out, at least 1.
    Returns:
        float32 arrays (channels, block_samples), each one new and none of them empty.
    """
    held = np.empty((channels, block_samples), np.float32)
    filled = 0
    for block in blocks:
        taken = 0
        while taken < block.shape[1]:
            count = min(block.shape[1] - taken, block_samples - filled)
            held[:, filled : filled + count] = block[:, taken : taken + count]
            taken += count
            filled += count
            if filled == block_samples:
                yield held
                held = np.empty((channels, block_samples), np.float32)
                filled = 0
    if filled:
        yield held[:, :filled].copy()
