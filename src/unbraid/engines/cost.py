"""What one pass of a model costs: seconds, measured; a model itself knows its bytes."""

from __future__ import annotations

import time

import numpy as np

from unbraid.engines.run import run_model, runs_elsewhere
from unbraid.models.base import SeparationModel


def probe_noise(channels: int, samples: int, batch: int = 1) -> np.ndarray:
    """Noise (b c t) to try a model on, the same each time."""
    shape = (batch, channels, samples)
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def pass_seconds(model: SeparationModel, noise: np.ndarray) -> float:
    """Seconds of one pass on noise (b c t); on a GPU without the transfer there and back."""
    if runs_elsewhere(model):
        from unbraid.engines.torch.cost import device_seconds

        return device_seconds(model, noise)
    begun = time.perf_counter()
    run_model(model, noise)
    return time.perf_counter() - begun


def memory_now(device: str) -> float:
    """Memory that this process holds; on CUDA, that it holds of the device."""
    if device.startswith("cuda"):
        import torch

        return float(torch.cuda.memory_allocated(device))
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
            return float(file.read().split()[1]) * 4096
    except OSError:
        return 4e8  # Python with torch, about
