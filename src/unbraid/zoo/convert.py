"""Foreign models into ours and back: public classes, their arguments, their weights.

What a public class takes and how it names its weights stands in a file of its own:
`public_hdemucs` and `public_demucs`. A further class is one such file and one line in
`PUBLIC_CLASSES`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

from unbraid.errors import CheckpointError, SettingsError
from unbraid.models.build import build_model, describe_model
from unbraid.zoo import public_demucs, public_hdemucs
from unbraid.zoo.public_hdemucs import residual_steps
from unbraid.zoo.stored import AnyTensor, is_float, read_float

__all__ = [
    "PUBLIC_CLASSES",
    "from_official",
    "load_official_state",
    "public_names",
    "residual_steps",
    "to_official_state",
]


@dataclass(frozen=True)
class PublicClass:
    """A public model class.

    Attributes:
        defaults: its arguments with their default values, in order; all that is known of it.
        to_ours: arguments -> our architecture and config.
        mend: weights as old files name them -> as new ones do.
    """

    defaults: Mapping[str, Any]
    to_ours: Callable[[Mapping[str, Any]], tuple[str, dict[str, Any]]]
    mend: Callable[[Mapping[str, Any]], dict[str, Any]] = dict


PUBLIC_CLASSES: dict[str, PublicClass] = {
    "HDemucs": PublicClass(public_hdemucs.DEFAULTS, public_hdemucs.to_ours),
    "Demucs": PublicClass(
        public_demucs.DEFAULTS, public_demucs.to_ours, public_demucs.mend_old_names
    ),
}
"""Public class name -> what we know of it. The one table; a name that is not here is refused."""

_PUBLIC_NAMES: dict[str, Callable[[nn.Module], dict[str, str]]] = {
    "hybrid_demucs": public_hdemucs.public_names,
    "spectrogram_demucs": public_hdemucs.public_names,
    "demucs": public_demucs.public_names,
}


def from_official(
    name: str,
    kwargs: Mapping[str, Any],
    state_dict: Mapping[str, AnyTensor] | None = None,
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
    public = _class(name)
    if state_dict is None:
        return build_official(name, kwargs, args).eval()
    with torch.device("meta"):
        model = build_official(name, kwargs, args)
    load_official_state(model, public.mend(state_dict))
    return model.eval()


def build_official(name: str, kwargs: Mapping[str, Any], args: Sequence[Any] = ()) -> nn.Module:
    """The model alone, with start weights."""
    public = _class(name)
    given = _arguments(name, args, kwargs, public.defaults)
    try:
        architecture, config = public.to_ours(given)
        return build_model(architecture, config)
    except (TypeError, ValueError, ArithmeticError, SettingsError, RuntimeError) as error:
        raise CheckpointError(f"{name} arguments that make no model: {error}") from error


def load_official_state(model: nn.Module, state_dict: Mapping[str, AnyTensor]) -> None:
    """Put weights under public names into `model`, as float32.

    Names and shapes are compared before memory is taken.

    Raises:
        CheckpointError: naming keys that are missing, unexpected or of the wrong shape.
    """
    ours, names = model.state_dict(), public_names(model)
    missing, foreign = set(names.values()) - set(state_dict), set(state_dict) - set(names.values())
    if missing or foreign:
        raise CheckpointError(
            "the weights do not fit the model: "
            f"{_some('missing', missing)}{_some('unexpected', foreign)}".rstrip()
        )
    for own, public in names.items():
        found = state_dict[public]
        if not is_float(found):
            raise CheckpointError(f"weight {public} is no floating-point tensor")
        if tuple(found.shape) != tuple(ours[own].shape):
            raise CheckpointError(
                f"weight {public} has shape {tuple(found.shape)}, the model takes "
                f"{tuple(ours[own].shape)}"
            )
    state = {own: read_float(state_dict[public]) for own, public in names.items()}
    model.load_state_dict(state, assign=True)


def to_official_state(model: nn.Module) -> dict[str, Tensor]:
    """The weights of `model` under their public names, in the public order."""
    ours = model.state_dict()
    return {public: ours[own] for own, public in public_names(model).items()}


def public_names(model: nn.Module) -> dict[str, str]:
    """Our name -> public name of every weight, in the order in which public code registers them."""
    architecture, _ = describe_model(model)
    return _PUBLIC_NAMES[architecture](model)


def _class(name: str) -> PublicClass:
    if name not in PUBLIC_CLASSES:
        raise CheckpointError(
            f"unknown public model class {name!r}; known are {', '.join(PUBLIC_CLASSES)}"
        )
    return PUBLIC_CLASSES[name]


def _arguments(
    name: str, args: Sequence[Any], kwargs: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    if len(args) > len(defaults):
        raise CheckpointError(f"{name} takes {len(defaults)} arguments, got {len(args)}")
    unknown = [str(key) for key in kwargs if key not in defaults]
    if unknown:
        warnings.warn(f"{name} arguments dropped: {', '.join(sorted(unknown))}", stacklevel=4)
    known = {key: value for key, value in kwargs.items() if key in defaults}
    given = {**defaults, **dict(zip(defaults, args, strict=False)), **known}
    return {key: _plain(f"{name} argument {key}", value) for key, value in given.items()}


def _plain(what: str, value: Any) -> Any:
    """A plain argument, or a list of such; nothing that could be deep, endless or huge."""
    flat = isinstance(value, (list, tuple)) and len(value) <= 256
    if flat and not any(isinstance(item, (list, tuple)) for item in value):
        return [_plain(what, item) for item in value]
    if isinstance(value, Fraction):
        return float(value)
    small = isinstance(value, int) and abs(value) < 2**63
    if value is None or isinstance(value, float) or small:
        return value
    if isinstance(value, str) and len(value) <= 256:
        return value
    raise CheckpointError(f"{what} is no plain value but a {type(value).__name__}")


def _some(what: str, keys: set[str]) -> str:
    if not keys:
        return ""
    shown = ", ".join(sorted(map(str, keys))[:3])
    return f"{what} {len(keys)} ({shown}{', ...' if len(keys) > 3 else ''}) "
