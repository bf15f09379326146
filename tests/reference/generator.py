"""The deterministic numbers of the conformance vectors."""

from __future__ import annotations

import math
import zlib

import numpy as np
import torch
from torch import Tensor


def uniform(name: str, count: int) -> np.ndarray:
    """`count` numbers in [-0.5, 0.5) that depend on nothing but `name`."""
    with np.errstate(over="ignore"):
        x = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x += np.uint64(zlib.crc32(name.encode()))
        x ^= x >> np.uint64(30)
        x *= np.uint64(0xBF58476D1CE4E5B9)
        x ^= x >> np.uint64(27)
        x *= np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return (x >> np.uint64(11)).astype(np.float64) / 2.0**53 - 0.5


def fill(key: str, shape: tuple[int, ...]) -> Tensor:
    """The value of the parameter that public checkpoints call `key`."""
    r = uniform(key, math.prod(shape)).reshape(shape)
    if key.endswith(".scale"):
        value = 0.5 + 0.2 * r
    elif key.endswith("query_decay.bias"):
        value = r - 2
    elif key.startswith("freq_emb"):
        value = 0.2 * r
    elif len(shape) >= 2:
        value = 2 * r * math.sqrt(3 * shape[0] / r.size)
    elif key.endswith("weight"):
        value = 1 + 0.2 * r
    else:
        value = 0.1 * r
    return torch.from_numpy(value).float()


def signal(*shape: int, gain: float) -> Tensor:
    """Test input of the given shape."""
    return torch.from_numpy(gain * uniform("input", math.prod(shape))).float().reshape(shape)
