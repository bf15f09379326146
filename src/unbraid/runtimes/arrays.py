"""Arrays are what a song is made of on its way; tensors come in and go out at the edges.

Nothing here imports torch before a model of torch is run: what runs without it shall start without
it. A value can only be a tensor where its owner has loaded torch.
"""

from __future__ import annotations

import sys
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float, Float32

from unbraid.errors import ModelError
from unbraid.models.base import SeparationModel, takes_arrays
from unbraid.runtimes.masks import apply_ratio_masks

T = TypeVar("T")


def is_tensor(value: object) -> bool:
    """Whether this is a tensor of torch; no torch is loaded to find out."""
    tensor_class = getattr(sys.modules.get("torch"), "Tensor", None)
    return tensor_class is not None and isinstance(value, tensor_class)


def is_module(value: object) -> bool:
    """Whether this is a module of torch; no torch is loaded to find out."""
    module_class = getattr(sys.modules.get("torch.nn"), "Module", None)
    return module_class is not None and isinstance(value, module_class)


def device_of(model: Any) -> str:
    """Where a model's weights are, as torch names it; "cpu" where there are none."""
    if is_module(model):
        for parameter in model.parameters():
            return str(parameter.device)
    return "cpu"


def as_array(value: Any) -> np.ndarray:
    """An array or a tensor as an array, of the same type where numpy has it (bfloat16: float32).

    It may share its memory with `value`.
    """
    if not is_tensor(value):
        return np.asarray(value)
    tensor = value.detach().cpu()
    half = tensor.is_floating_point() and tensor.dtype.itemsize == 2
    return np.asarray((tensor.float() if half else tensor).numpy())


def alike(value: T, array: np.ndarray) -> T:
    """`array` as what `value` is: an array, or a tensor on the same device. The type stays."""
    result: Any = array
    if is_tensor(value):
        import torch

        result = torch.from_numpy(array).to(value.device)  # type: ignore[attr-defined]
    return result  # type: ignore[no-any-return]


def runs_elsewhere(model: SeparationModel) -> bool:
    """Whether a pass leaves the processor free for other work: the model is on a GPU."""
    return not takes_arrays(model) and device_of(model) != "cpu"


def run_model(
    model: SeparationModel, batch: Float32[np.ndarray, "b c t"]
) -> Float[np.ndarray, "b s c t"]:
    """One pass of any model: arrays in, float32 arrays out, whatever the model itself works with.

    Estimates are finished by ratio masks where the model's spec asks for them.

    Args:
        batch: the model may write to it.
    Raises:
        ModelError: if the estimates have another shape than the model's stems ask for.
    """
    if not takes_arrays(model):
        from unbraid.runtimes.torch_runtime import run_on_arrays

        return run_on_arrays(model, batch)
    masks = model.spec.ratio_masks
    found: Any = model(batch.copy() if masks else batch)  # type: ignore[arg-type]
    estimates = np.asarray(found, np.float32)
    check_estimates(model, batch.shape, estimates.shape)
    return apply_ratio_masks(batch, estimates) if masks else estimates


def check_estimates(
    model: SeparationModel, mixture: tuple[int, ...], estimates: tuple[int, ...]
) -> None:
    """Raise `ModelError` unless these are the shapes of what comes in and what must come out."""
    wanted = (mixture[0], len(model.spec.stems), *mixture[1:])
    if tuple(estimates) != wanted:
        raise ModelError(
            f"a model with these stems makes estimates of shape {wanted} here, "
            f"got {tuple(estimates)}"
        )
