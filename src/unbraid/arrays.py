"""Arrays of numpy and tensors of torch, distinguished without loading torch.

A value can only be a tensor where its owner has imported torch already.
"""

from __future__ import annotations

import sys
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


def is_tensor(value: object) -> bool:
    """Whether this is a tensor of torch."""
    tensor_class = getattr(sys.modules.get("torch"), "Tensor", None)
    return tensor_class is not None and isinstance(value, tensor_class)


def is_module(value: object) -> bool:
    """Whether this is a module of torch."""
    module_class = getattr(sys.modules.get("torch.nn"), "Module", None)
    return module_class is not None and isinstance(value, module_class)


def as_array(value: Any) -> np.ndarray:
    """An array or a tensor as an array of the same type; bfloat16, which numpy lacks, as float32.

    The result may share its memory with `value`.
    """
    if not is_tensor(value):
        return np.asarray(value)
    tensor = value.detach().cpu()
    half = tensor.is_floating_point() and tensor.dtype.itemsize == 2
    return np.asarray((tensor.float() if half else tensor).numpy())


def alike(value: T, array: np.ndarray) -> T:
    """`array` as the same kind as `value`: an array, or a tensor on its device. The dtype stays."""
    result: Any = array
    if is_tensor(value):
        import torch

        result = torch.from_numpy(array).to(value.device)  # type: ignore[attr-defined]
    return result  # type: ignore[no-any-return]
