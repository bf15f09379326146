"""To a quarter of the sample rate and back in torch, with a gradient. See `quarter_rate.py`.

In float32 also where autocast is on: what a filter loses, no later layer finds again.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from unbraid.models import quarter_rate as numbers


def to_quarter_rate(x: Tensor) -> Tensor:
    """(..., t) -> (..., ceil(t / 4)): sample k is at the moment of sample 4 k."""
    count = -(-x.shape[-1] // numbers.FACTOR)
    blocks = -(-count // numbers.LOW_BLOCK)
    return _filtered(x, numbers.HALF, blocks, numbers.FULL_BLOCK, numbers.down_matrix(), count)


def from_quarter_rate(y: Tensor, samples: int) -> Tensor:
    """(..., t) -> (..., samples), where `samples` is at most 4 t."""
    blocks = -(-samples // numbers.FULL_BLOCK)
    return _filtered(y, numbers.LOW_BEFORE, blocks, numbers.LOW_BLOCK, numbers.up_matrix(), samples)


def with_low_band(full: Tensor, low: Tensor) -> Tensor:
    """(..., t), its lowest quarter taken from `low` (..., ceil(t / 4))."""
    return full + from_quarter_rate(low - to_quarter_rate(full), full.shape[-1])


def _filtered(
    signal: Tensor, before: int, blocks: int, step: int, matrix: np.ndarray, count: int
) -> Tensor:
    """The blocks of a signal, of which `before` samples come first, through a matrix."""
    with torch.autocast(signal.device.type, enabled=False):
        wide = signal.float() if signal.dtype.itemsize < 4 else signal
        needed = (blocks - 1) * step + len(matrix)
        padded = F.pad(wide, (before, needed - before - signal.shape[-1]))
        weights = torch.from_numpy(matrix).to(wide)
        made = padded.unfold(-1, len(matrix), step) @ weights
        return made.flatten(-2)[..., :count]
