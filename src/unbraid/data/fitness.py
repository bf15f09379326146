"""Whether a track can be trained on: one judgement for `data check` and for training."""

from __future__ import annotations

import math

import numpy as np


class MonoLevels:
    """Mean and deviation of a mixture that is averaged to mono, block by block.

    By them excerpts are normalized before they go into a model.
    """

    def __init__(self) -> None:
        self.samples = 0
        self._total, self._squares = 0.0, 0.0

    def push(self, block: np.ndarray) -> None:
        """Add a block (channels, samples)."""
        mono = block.mean(axis=0, dtype=np.float64)
        self.samples += len(mono)
        self._total += float(mono.sum())
        self._squares += float(np.square(mono).sum())

    @property
    def is_finite(self) -> bool:
        """Whether all samples so far were finite numbers."""
        return math.isfinite(self._squares)

    @property
    def mean(self) -> float:
        """Mean of all samples; 0 for none."""
        return self._total / max(1, self.samples)

    @property
    def std(self) -> float:
        """Unbiased standard deviation; 0 for fewer than two samples."""
        squares = self._squares - self.samples * self.mean**2
        return math.sqrt(max(0.0, squares) / max(1, self.samples - 1))


def why_unfit(samples: int, std: float) -> str | None:
    """Why a track cannot be normalized, which training does by default; None if it can.

    Args:
        samples: its length.
        std: deviation of its mono mixture, as `MonoLevels` measures it.
    """
    if samples < 2:
        return f"it is too short to be normalized: {samples} sample"
    if not std > 0:
        return "its mixture is silent once averaged to mono, so it cannot be normalized"
    return None
