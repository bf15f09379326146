"""Weights that still lie in a file: known by shape and kind, read when asked for.

Beside them a state may hold tensors of torch; nothing here loads torch to deal with them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from unbraid.errors import CheckpointError
from unbraid.runtimes.arrays import as_array, is_tensor

KINDS: dict[str, Any] = {
    "F16": np.float16,
    "BF16": np.uint16,  # which numpy has not: the upper half of a float32
    "F32": np.float32,
    "F64": np.float64,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
"""Kind of a weight, as safetensors name them -> how its values lie in a file."""

_FLOATS = ("F16", "BF16", "F32", "F64")

_TORCH_KINDS = {
    "torch.float16": "F16",
    "torch.bfloat16": "BF16",
    "torch.float32": "F32",
    "torch.float64": "F64",
    "torch.int64": "I64",
}


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file.

    Attributes:
        shape: of the tensor.
        kind: one of `KINDS`.
        read: gives its values, perhaps a view of the file; BF16 as float32.
    """

    shape: tuple[int, ...]
    kind: str
    read: Callable[[], np.ndarray]

    @property
    def count(self) -> int:
        """Number of values."""
        return math.prod(self.shape)


State = Mapping[str, Any]
"""Names -> stored tensors, or tensors of torch."""


def values_of(content: np.ndarray, kind: str) -> np.ndarray:
    """Bytes of a file as the numbers that they are; a view, but for BF16."""
    values: np.ndarray = content.view(KINDS[kind])
    if kind == "BF16":
        values = (values.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return values


def kind_of(value: object) -> str:
    """The kind of a weight; "" for what is none, or of an uncommon kind."""
    if isinstance(value, StoredTensor):
        return value.kind
    return _TORCH_KINDS.get(str(getattr(value, "dtype", "")), "") if is_tensor(value) else ""


def is_float(value: object) -> bool:
    """Whether this is a tensor of floating-point numbers."""
    return kind_of(value) in _FLOATS


def read_array(value: Any) -> np.ndarray:
    """The values of a stored tensor, or of one of torch; perhaps a view.

    Raises:
        CheckpointError: if the file cannot be read after all.
    """
    return value.read() if isinstance(value, StoredTensor) else as_array(value)


def need_tensor(value: object, what: str) -> Any:
    """The value itself, if it is a tensor.

    Raises:
        CheckpointError: if not.
    """
    if not isinstance(value, StoredTensor) and not is_tensor(value):
        raise CheckpointError(f"{what} is no tensor but a {type(value).__name__}")
    return value
