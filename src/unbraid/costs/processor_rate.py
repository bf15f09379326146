"""How fast this machine's processor multiplies, and what that means for a model's work."""

from __future__ import annotations

import time

import numpy as np

# One Hybrid Demucs, the unit of `ModelCard.work`, took half a second of one core for a second of
# audio where that core made 30 thousand million multiply-adds a second in a matrix product.
_UNIT = 0.5 * 30e9
_OVERLAP = 4 / 3
"""What songs cost more than their length: segments overlap by a quarter."""


def multiply_adds_per_s(size: int = 768, rounds: int = 4) -> float:
    """Of a matrix product in float32, on all cores that the libraries use; takes some 0.1 s."""
    a = np.ones((size, size), np.float32)
    best = float("inf")
    for _ in range(rounds):
        begun = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - begun)
    return float(size**3 / best)


def estimated_seconds(work: float, song_s: float, rate: float) -> float:
    """Seconds for a song on a processor of this `rate`, roughly: right within a factor of two.

    Args:
        work: of the model, see `ModelCard`.
        song_s: length of the song.
        rate: multiply-adds a second.

    >>> round(estimated_seconds(2.4, 240, 60e9))
    192
    """
    return work * _UNIT / rate * song_s * _OVERLAP
