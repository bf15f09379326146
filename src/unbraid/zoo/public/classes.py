"""Public model classes: their arguments and the public names of their weights, without torch.

The arguments and weight names of a public class are in `public.py` next to its network. A new
class is one such file and one line in each table here.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from unbraid.errors import CheckpointError
from unbraid.models.demucs import public as public_demucs
from unbraid.models.htdemucs import public as public_htdemucs
from unbraid.models.hybrid_demucs import public as public_hdemucs
from unbraid.words import counted
from unbraid.zoo.stored import is_float


@dataclass(frozen=True)
class PublicClass:
    """A public model class.

    Attributes:
        defaults: its arguments with their default values, in order.
        to_ours: arguments -> our architecture and config.
        mend: renames the weights of old files.
    """

    defaults: Mapping[str, Any]
    to_ours: Callable[[Mapping[str, Any]], tuple[str, dict[str, Any]]]
    mend: Callable[[Mapping[str, Any]], dict[str, Any]] = dict


PUBLIC_CLASSES: dict[str, PublicClass] = {
    "HDemucs": PublicClass(public_hdemucs.DEFAULTS, public_hdemucs.to_ours),
    "Demucs": PublicClass(
        public_demucs.DEFAULTS, public_demucs.to_ours, public_demucs.mend_old_names
    ),
    "HTDemucs": PublicClass(public_htdemucs.DEFAULTS, public_htdemucs.to_ours),
}
"""Public class name -> its description. Names that are not in this table are refused."""

_PUBLIC_NAMES: dict[str, Callable[[Collection[str], Any], dict[str, str]]] = {
    "hybrid_demucs": public_hdemucs.public_names,
    "spectrogram_demucs": public_hdemucs.public_names,
    "demucs": public_demucs.public_names,
    "htdemucs": public_htdemucs.public_names,
}


def names_of(architecture: str, own: Collection[str], config: Any) -> dict[str, str]:
    """Our name -> public name of every weight of a model of ours, in the public order."""
    if architecture not in _PUBLIC_NAMES:
        return {name: name for name in own}  # these networks use the public names
    return _PUBLIC_NAMES[architecture](own, config)


def our_config(
    name: str, kwargs: Mapping[str, Any], args: Sequence[Any] = ()
) -> tuple[str, dict[str, Any]]:
    """Our architecture and config for the arguments of a public class.

    Raises:
        CheckpointError: for an unknown class, or arguments that are not plain values.
    """
    public = public_class(name)
    return public.to_ours(_arguments(name, args, kwargs, public.defaults))


def fitting(
    shapes: Mapping[str, tuple[int, ...]],
    names: Mapping[str, str],
    state: Mapping[str, Any],
) -> dict[str, Any]:
    """Rename weights from public names to ours, and check their shapes.

    Raises:
        CheckpointError: naming keys that are missing, unexpected or of the wrong shape.
    """
    missing, foreign = set(names.values()) - set(state), set(state) - set(names.values())
    if missing or foreign:
        raise CheckpointError(
            "the weights do not fit the model: "
            f"{_some('missing', missing)}{_some('unexpected', foreign)}".rstrip()
        )
    for own, public in names.items():
        found = state[public]
        if not is_float(found):
            raise CheckpointError(f"weight {public} is not a floating-point tensor")
        if tuple(found.shape) != shapes[own]:
            raise CheckpointError(
                f"weight {public} has shape {tuple(found.shape)}, the model takes {shapes[own]}"
            )
    return {own: state[public] for own, public in names.items()}


def public_class(name: str) -> PublicClass:
    """The description of a class.

    Raises:
        CheckpointError: for an unknown class.
    """
    if name not in PUBLIC_CLASSES:
        raise CheckpointError(
            f"unknown public model class {name!r}; known are {', '.join(PUBLIC_CLASSES)}"
        )
    return PUBLIC_CLASSES[name]


def _arguments(
    name: str, args: Sequence[Any], kwargs: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    if len(args) > len(defaults):
        raise CheckpointError(f"{name} takes {counted(len(defaults), 'argument')}, got {len(args)}")
    unknown = [str(key) for key in kwargs if key not in defaults]
    if unknown:
        warnings.warn(f"{name} arguments dropped: {', '.join(sorted(unknown))}", stacklevel=4)
    known = {key: value for key, value in kwargs.items() if key in defaults}
    given = {**defaults, **dict(zip(defaults, args, strict=False)), **known}
    return {key: _plain(f"{name} argument {key}", value) for key, value in given.items()}


def _plain(what: str, value: Any) -> Any:
    """A plain argument, or a list of them; deep or huge values are refused."""
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
    raise CheckpointError(f"{what} is not a plain value but a {type(value).__name__}")


def _some(what: str, keys: set[str]) -> str:
    if not keys:
        return ""
    shown = ", ".join(sorted(map(str, keys))[:3])
    return f"{what} {len(keys)} ({shown}{', ...' if len(keys) > 3 else ''}) "
