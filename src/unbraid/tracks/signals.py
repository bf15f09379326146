"""Signals in memory, as callers have them: tensors or arrays, checked and given back in kind."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from unbraid.errors import AudioError, ShapeError

Signal = TypeVar("Signal", Tensor, np.ndarray)

_MOST_CHANNELS = 64


def as_source(signal: Tensor | np.ndarray) -> np.ndarray:
    """A float32 copy (c t) of a signal, checked."""
    kind = "tensor" if isinstance(signal, Tensor) else "array"
    if not isinstance(signal, (Tensor, np.ndarray)):
        raise ShapeError(f"a signal is a tensor or an array, got {type(signal).__name__}")
    wanted = "a signal is floating point, (channels, samples)"
    if signal.ndim != 2 or 0 in signal.shape:
        hint = "; use signal[None] for one channel" if signal.ndim == 1 else ""
        raise ShapeError(f"{wanted}, got a {kind} of shape {tuple(signal.shape)}{hint}")
    if signal.shape[0] > _MOST_CHANNELS:
        raise ShapeError(
            f"{wanted}, got {signal.shape[0]} channels; transpose it if it is (samples, channels)"
        )
    floating = (
        signal.is_floating_point()
        if isinstance(signal, Tensor)
        else np.issubdtype(signal.dtype, np.floating)
    )
    if not floating:
        raise ShapeError(f"{wanted}, got {signal.dtype}; divide integers by their full scale")
    array = (
        signal.detach().cpu().to(torch.float32).numpy() if isinstance(signal, Tensor) else signal
    )
    source = np.array(array, np.float32)
    if not np.isfinite(source).all():
        raise AudioError("the signal holds NaN or Inf; repair it first")
    return source


def alike(signal: Signal, part: np.ndarray) -> Signal:
    """`part` as a new signal of the kind, type and device of `signal`."""
    if isinstance(signal, Tensor):
        return torch.from_numpy(part.copy()).to(signal.device, signal.dtype)
    return part.astype(signal.dtype)
