"""Signals in memory, as callers have them: tensors or arrays, checked and given back in kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from unbraid import arrays
from unbraid.arrays import as_array, is_tensor
from unbraid.errors import AudioError, ShapeError

if TYPE_CHECKING:
    from torch import Tensor

    Signal = TypeVar("Signal", Tensor, np.ndarray)
else:
    Signal = TypeVar("Signal")

_MOST_CHANNELS = 64


def as_source(signal: Any) -> np.ndarray:
    """A float32 copy (c t) of a signal, checked."""
    kind = "tensor" if is_tensor(signal) else "array"
    if not is_tensor(signal) and not isinstance(signal, np.ndarray):
        raise ShapeError(f"a signal is a tensor or an array, got {type(signal).__name__}")
    wanted = "a signal is floating point, (channels, samples)"
    if signal.ndim != 2 or 0 in signal.shape:
        hint = "; use signal[None] for one channel" if signal.ndim == 1 else ""
        raise ShapeError(f"{wanted}, got a {kind} of shape {tuple(signal.shape)}{hint}")
    if signal.shape[0] > _MOST_CHANNELS:
        raise ShapeError(
            f"{wanted}, got {signal.shape[0]} channels; transpose it if it is (samples, channels)"
        )
    array = as_array(signal)
    if not np.issubdtype(array.dtype, np.floating):
        raise ShapeError(f"{wanted}, got {signal.dtype}; divide integers by their full scale")
    source = np.array(array, np.float32)
    if not np.isfinite(source).all():
        raise AudioError("the signal holds NaN or Inf; repair it first")
    return source


def alike(signal: Signal, part: np.ndarray) -> Signal:
    """`part` as a new signal of the kind, type and device of `signal`."""
    if isinstance(signal, np.ndarray):
        return part.astype(signal.dtype)
    return arrays.alike(signal, part.copy()).to(signal.dtype)
