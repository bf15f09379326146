"""Foreign models into ours and back, as modules of torch; `public_classes` knows the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unbraid.errors import CheckpointError, SettingsError
from unbraid.models.hybrid_demucs.public import residual_steps
from unbraid.models.registry import build_model, describe_model
from unbraid.zoo.public.classes import PUBLIC_CLASSES, fitting, names_of, our_config, public_class
from unbraid.zoo.stored import read_array

__all__ = [
    "PUBLIC_CLASSES",
    "from_official",
    "load_official_state",
    "public_names",
    "residual_steps",
    "to_official_state",
]


def from_official(
    name: str,
    kwargs: Mapping[str, Any],
    state_dict: Mapping[str, Any] | None = None,
    *,
    args: Sequence[Any] = (),
) -> nn.Module:
    """Build a model from the constructor arguments and weights of a public Demucs class.

    Args:
        name: public class name, `"HDemucs"` or `"Demucs"`.
        kwargs: its keyword arguments, under the public names. Unknown ones are dropped with a
        warning.
        state_dict: its weights under the public keys, any float type; None leaves start weights.
        args: its arguments by position.
    Returns:
        our model in evaluation mode, float32.
    Raises:
        CheckpointError: for another class, arguments that make no model, or weights that do not
        fit.
    """
    public = public_class(name)
    if state_dict is None:
        return build_official(name, kwargs, args).eval()
    with torch.device("meta"):
        model = build_official(name, kwargs, args)
    load_official_state(model, public.mend(state_dict))
    return model.eval()


def build_official(name: str, kwargs: Mapping[str, Any], args: Sequence[Any] = ()) -> nn.Module:
    """The model alone, with start weights."""
    try:
        return build_model(*our_config(name, kwargs, args))
    except (TypeError, ValueError, ArithmeticError, SettingsError, RuntimeError) as error:
        raise CheckpointError(f"{name} arguments that make no model: {error}") from error


def load_official_state(model: nn.Module, state_dict: Mapping[str, Any]) -> None:
    """Put weights under public names into `model`, as float32.

    Names and shapes are compared before memory is taken.

    Raises:
        CheckpointError: naming keys that are missing, unexpected or of the wrong shape.
    """
    found = fitting(shapes_of(model), public_names(model), state_dict)
    state = {own: _as_float32(value) for own, value in found.items()}
    model.load_state_dict(state, assign=True)


def shapes_of(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """Shape of every weight by our name."""
    return {own: tuple(weight.shape) for own, weight in model.state_dict().items()}


def _as_float32(value: Any) -> Tensor:
    """A copy of its own on the CPU."""
    return torch.from_numpy(np.array(read_array(value), np.float32))


def to_official_state(model: nn.Module) -> dict[str, Tensor]:
    """The weights of `model` under their public names, in the public order."""
    ours = model.state_dict()
    return {public: ours[own] for own, public in public_names(model).items()}


def public_names(model: nn.Module) -> dict[str, str]:
    """Our name -> public name of every weight, in the order in which public code registers them."""
    architecture, _ = describe_model(model)
    return names_of(architecture, list(model.state_dict()), model.config)
