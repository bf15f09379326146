"""What one pass of a model costs: seconds, measured, and bytes, counted."""

from __future__ import annotations

import time

import numpy as np

from unbraid.models.base import SeparationModel, takes_arrays
from unbraid.runtimes.arrays import run_model


def probe_noise(channels: int, samples: int, batch: int = 1) -> np.ndarray:
    """Noise (b c t) to try a model on, the same each time."""
    shape = (batch, channels, samples)
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def pass_bytes(model: SeparationModel, samples: int, device: str) -> int:
    """Memory of one pass over `samples`, beside the weights: the same on each machine."""
    if takes_arrays(model):
        own = getattr(model, "memory_bytes", None)
        streams = model.spec.channels * (1 + len(model.spec.stems))
        return int(own(samples)) if own is not None else 4 * samples * streams
    from unbraid.runtimes.torch_cost import live_bytes

    return live_bytes(model, probe_noise(model.spec.channels, samples), device)


def pass_seconds(model: SeparationModel, noise: np.ndarray, device: str) -> float:
    """Seconds of one pass on noise (b c t); on a GPU without the way there."""
    if not takes_arrays(model):
        from unbraid.runtimes.torch_cost import torch_seconds

        return torch_seconds(model, noise, device)
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
