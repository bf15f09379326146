"""Files of the classic systems; system and settings are recognized by the weights.

    a table of weights, bare or      Open-Unmix, Demucs v2, Conv-TasNet for music,
    under `state_dict` or `model`    ResUNetDecouple+, CaC TFC-TDF U-Net, LaSAFT, KUIELAB-MDX-Net
    `model_name`, `model_args`,      packages of asteroid: ConvTasNet, DPRNNTasNet, XUMX
    `state_dict`
    (class, args, kwargs, weights)   Demucs v1 and its Conv-TasNet; the class is a name, no more

A network saved stem by stem becomes a model of one stem, named after the file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.errors import CheckpointError, SettingsError
from unbraid.models.conv_tasnet import public as tasnet_names
from unbraid.models.dprnn import public as dprnn_names
from unbraid.models.registry import make_config, weight_shapes
from unbraid.models.x_umx import public as x_umx_names
from unbraid.zoo.hashes import Digest
from unbraid.zoo.public.asteroid import asteroid_settings
from unbraid.zoo.public.by_weights import BY_KEY, Shapes, System
from unbraid.zoo.public.package import naming
from unbraid.zoo.public.pickles import Maker
from unbraid.zoo.stored import OnFirstUse, StoredModel, StoredTensor, is_float

_WRAPPERS = ("state_dict", "model")
_PREFIXES = ("spec2spec.", "module.")
_COMPUTED = ("num_batches_tracked", "window", "freq_pad", "sample_rate")
_COMPUTED_STARTS = ("stft.", "istft.")
_MOST_JSON = 1 << 16
_ACTIVATED_NORM, _ACTIVATED_EPSILON = ".abn2.weight", 1e-5
"""ResUNet's in-place activated norm multiplies by |weight| + epsilon, an ordinary one by weight."""
_AS_TRAINED = {"normalize_songs": False}
"""All but Demucs and its Conv-TasNet hear songs at the level they have."""
_V1_CHANGES = {"demucs.model.Demucs": {"resample": False, "epsilon": 0.0}}
"""Class of a file of Demucs v1 -> how its settings differ from those of v2 with such weights."""


MIXER = "mdx_mixer"
"""Architecture of a `StoredModel` that is not a model: the last layer of a KUIELAB-MDX-Net."""

_MIXERS = {"linear.weight", "mixing_layer.weight"}


def stored_mixer(path: Path, content: Any) -> StoredModel | None:
    """The mixer that joins the networks of a KUIELAB-MDX-Net; None if the file is none."""
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or len(state) != 1 or not _MIXERS.issuperset(state):
        return None
    (weight,) = state.values()
    if not is_float(weight) or len(weight.shape) != 2:
        return None
    return StoredModel(MIXER, None, {"mixer.weight": weight}, path, Digest([path]))


def stored_system(
    path: Path, content: Any, changes: Mapping[str, Any] | None = None
) -> StoredModel | None:
    """The model in the content of a torch file; None if it is not one of these systems.

    Args:
        changes: settings that are known better than from the weights.
    Raises:
        CheckpointError: if the weights do not fit the recognized system.
    """
    with naming(path):
        found = recognize(content, path.stem)
        if found is None:
            return None
        system, state = found
        own = _separator_settings(path, system.architecture) | dict(changes or {})
    return stored_of(path, replace(system, settings={**system.settings, **own}), state)


def stored_of(
    path: Path,
    system: System,
    state: Mapping[str, StoredTensor],
    digest: Digest | None = None,
) -> StoredModel:
    """The model of a system and its weights by their names in the file.

    Args:
        digest: None for that of the file.
    Raises:
        CheckpointError: if the settings make no model; if the weights do not fit it, on first use.
    """
    with naming(path):
        try:
            config = make_config(system.architecture, system.settings)
        except (TypeError, ValueError, ArithmeticError, SettingsError) as error:
            raise CheckpointError(f"its settings make no model: {error!s:.300}") from error
    weights = Fitted(path, system, config, state)
    return StoredModel(system.architecture, config, weights, path, digest or Digest([path]))


def _separator_settings(path: Path, architecture: str) -> dict[str, Any]:
    """Settings of Open-Unmix that its own training writes next to the networks."""
    about = path.with_name("separator.json")
    if architecture != "open_unmix" or not about.is_file():
        return {}
    try:
        found = json.loads(about.read_bytes()[:_MOST_JSON])
    except ValueError as error:
        raise CheckpointError(f"{about}: not readable as JSON ({error!s:.100})") from error
    names = {"nhop": "hop", "sample_rate": "sample_rate"}
    if not isinstance(found, dict):
        raise CheckpointError(f"{about}: not a table of settings")
    given = {ours: found[theirs] for theirs, ours in names.items() if theirs in found}
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in given.items()
    }


def recognize(content: Any, file_name: str) -> tuple[System, dict[str, Any]] | None:
    """The system that a file's content belongs to, and its weights."""
    changes = {}
    if isinstance(content, tuple) and len(content) == 4 and isinstance(content[0], Maker):
        changes, content = _V1_CHANGES.get(content[0].name, {}), content[3]
    if not isinstance(content, dict) or "klass" in content:
        return None
    named = content.get("model_name")
    for wrapper in _WRAPPERS:
        if isinstance(content.get(wrapper), dict):
            state = content[wrapper]
            break
    else:
        state = content
    state = {key: value for key, value in state.items() if isinstance(value, StoredTensor)}
    if not state or not all(isinstance(key, str) for key in state):
        return None
    for prefix in _PREFIXES:
        if any(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    shapes = {key: value.shape for key, value in state.items()}
    if isinstance(named, str) and isinstance(content.get("model_args"), dict):
        made = asteroid_settings(named, content["model_args"], shapes)
        if made is None:
            return None
        architecture, settings = made
        return System(architecture, _AS_TRAINED | settings, _ASTEROID[architecture]), state
    for key, read in BY_KEY.items():
        if key in shapes:
            system = _settings_of(read, shapes, stem_in(file_name))
            settings = {**_AS_TRAINED, **system.settings, **changes}
            return replace(system, settings=settings), state
    return None


def _settings_of(read: Callable[[Shapes, str], System], shapes: Shapes, stem: str) -> System:
    """The settings in the shapes of the weights.

    Raises:
        CheckpointError: if there are weights missing to tell them.
    """
    try:
        return read(shapes, stem)
    except (LookupError, ValueError) as error:
        name = read.__name__.strip("_")
        raise CheckpointError(f"it has weights of {name}, but not all ({error!s:.100})") from error


def stem_in(file_name: str) -> str:
    """The stem in the name of a file, "stem" if there is none.

    >>> stem_in("vocals-b62c91ce"), stem_in("model")
    ('vocals', 'stem')
    """
    known = ("vocals", "drums", "bass", "other", "accompaniment", "speech", "noise")
    return next((stem for stem in known if stem in file_name.lower()), "stem")


_ASTEROID: dict[str, Callable[[str, Any], str]] = {
    "conv_tasnet": tasnet_names.public_name,
    "dprnn": dprnn_names.public_name,
    "x_umx": lambda own, config: x_umx_names.public_name(own, config.stems),
}


class Fitted(OnFirstUse):
    """Weights of a file, in our layout."""

    def __init__(self, path: Path, system: System, config: Any, state: Mapping[str, Any]) -> None:
        self._path, self._system, self._config, self._state = path, system, config, state

    @cached_property
    def _found(self) -> dict[str, StoredTensor]:
        system, config, state = self._system, self._config, self._state
        with naming(self._path):
            shapes = weight_shapes(system.architecture, config)
            names = {own: system.name(own, config) for own in shapes}
            known = set(names.values())
            foreign = sorted(key for key in state if key not in known and not _computed(key))
            missing = sorted(known - state.keys())
            for what, keys in (("lacks", missing), ("has unknown", foreign)):
                if keys:
                    raise CheckpointError(
                        f"the weights do not fit {system.architecture}: the file {what} "
                        f"{keys[0]!s:.100}{f' and {len(keys) - 1} more' if keys[1:] else ''}"
                    )
            return {own: fit(state[names[own]], shape, names[own]) for own, shape in shapes.items()}


def _computed(name: str) -> bool:
    """Whether it follows from the settings."""
    return name.endswith(_COMPUTED) or name.startswith(_COMPUTED_STARTS)


def fit(tensor: StoredTensor, shape: tuple[int, ...], name: str) -> StoredTensor:
    """A weight in our layout.

    Raises:
        CheckpointError: if it is not a floating-point tensor of that size.
    """
    if not is_float(tensor) or tensor.count != int(np.prod(shape)):
        raise CheckpointError(
            f"weight {name!s:.100} has shape {tensor.shape}, the model takes {shape}"
        )
    if name == "decoder.basis_signals.weight":  # (channels * kernel, basis) there

        def turned() -> np.ndarray:
            return np.ascontiguousarray(tensor.read().T.reshape(shape))

        return StoredTensor(shape, tensor.kind, turned)
    if tensor.shape == shape and name.endswith(_ACTIVATED_NORM):

        def gain() -> np.ndarray:
            values: np.ndarray = np.abs(tensor.read())
            values += values.dtype.type(_ACTIVATED_EPSILON)
            return values

        return StoredTensor(shape, tensor.kind, gain)
    if tensor.shape == shape:
        return tensor
    if [n for n in tensor.shape if n != 1] != [n for n in shape if n != 1]:
        raise CheckpointError(
            f"weight {name!s:.100} has shape {tensor.shape}, the model takes {shape}"
        )
    return StoredTensor(shape, tensor.kind, lambda: tensor.read().reshape(shape))
