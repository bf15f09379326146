"""Weights that still lie in a file: known by shape, read when asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from unbraid.errors import CheckpointError


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file.

    Attributes:
        shape, dtype: of the tensor.
        read: reads it; memory is taken only then.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    read: Callable[[], Tensor]

    @property
    def count(self) -> int:
        """Number of values."""
        count = 1
        for size in self.shape:
            count *= size
        return count


AnyTensor = Tensor | StoredTensor
State = Mapping[str, AnyTensor]


def read_float(value: AnyTensor) -> Tensor:
    """A copy of its own in float32 on the CPU.

    Raises:
        CheckpointError: if the file cannot be read after all.
    """
    tensor = value.read() if isinstance(value, StoredTensor) else value.detach()
    return tensor.to("cpu", torch.float32).clone()


def is_float(value: object) -> bool:
    """Whether this is a tensor of floating-point numbers."""
    return isinstance(value, (Tensor, StoredTensor)) and value.dtype.is_floating_point


def need_tensor(value: object, what: str) -> AnyTensor:
    """The value itself, if it is a tensor.

    Raises:
        CheckpointError: if not.
    """
    if not isinstance(value, (Tensor, StoredTensor)):
        raise CheckpointError(f"{what} is no tensor but a {type(value).__name__}")
    return value
