"""Files of plain weights, as community programs save them, and the settings that belong to them.

The weights are a table of tensors: bare, or in a training checkpoint under `state`, `state_dict`
(Lightning), `model_state_dict` or `model`. Their network is described in a YAML file next to them
(`msst.py`), or in the catalog.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.errors import CheckpointError, SettingsError
from unbraid.models.compose.complement import ComplementConfig
from unbraid.models.registry import Member, make_config, weight_shapes
from unbraid.zoo.hashes import Digest
from unbraid.zoo.public.classes import names_of
from unbraid.zoo.public.msst import Settings, read_settings
from unbraid.zoo.public.package import naming
from unbraid.zoo.public.yaml_data import read_yaml
from unbraid.zoo.stored import OnFirstUse, Renamed, StoredModel, StoredTensor, as_stored, is_float

_WRAPPERS = ("state", "state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "model.", "_orig_mod.")
_SUFFIXES = (".yaml", ".yml")

_VARIANTS = {
    ".segm.": "HyperACE",
    "linear_62_bias_0": "biases shared by all layers",
    "cos_emb_time": "learned position tables",
    "to_value_residual_mix": "value residuals",
    ".branch.": "hyper-connections, as in BS-RoFormer 1.0 and later",
    ".ff1.": "Conformer blocks",
    "rnn_transformer": "the transformers of SCNet Tran",
}
"""Part of a weight's name -> the unsupported variant of a network that has it."""


def bare_weights(content: Any) -> dict[str, Any]:
    """The table of tensors in the contents of a torch file.

    Raises:
        CheckpointError: if there is no such table.
    """
    for name in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
            break
    tensors = isinstance(content, dict) and {
        key: value for key, value in content.items() if isinstance(value, StoredTensor)
    }
    if not tensors or not all(isinstance(key, str) for key in tensors):
        raise CheckpointError("neither a package of a model nor a table of weights")
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in tensors):
            tensors = {key.removeprefix(prefix): value for key, value in tensors.items()}
    return tensors


def find_settings(path: Path, given: Path | None) -> Settings:
    """The settings of the weights at `path`, from the file `given` or one next to the weights.

    Raises:
        CheckpointError: if it is missing, or cannot be used.
    """
    found = given or settings_beside(path)
    if found is None:
        raise CheckpointError(
            f"{path}: plain weights, without the settings of their network; give the YAML file "
            f"that comes with them (--config FILE), or put it next to them as {path.stem}.yaml"
        )
    content = read_yaml(found)
    with naming(found):
        return read_settings(content)


def settings_beside(path: Path) -> Path | None:
    """NAME.yaml, config_NAME.yaml, NAME_config.yaml or NAME.ckpt.yaml next to NAME.ckpt, if any."""
    stem = path.stem
    for name in (stem, f"config_{stem}", f"{stem}_config", path.name):
        for suffix in _SUFFIXES:
            candidate = path.with_name(name + suffix)
            if candidate.is_file():
                return candidate
    return None


def stored_weights(
    path: Path, state: Mapping[str, Any], settings: Settings, licence: str = ""
) -> StoredModel:
    """The model with these weights and settings; weights are read on demand.

    Raises:
        CheckpointError: if the settings are invalid.
    """
    with naming(path):
        try:
            config = make_config(settings.architecture, settings.config)
        except (TypeError, ValueError, ArithmeticError, SettingsError) as error:
            raise CheckpointError(f"its settings make no model: {error!s:.300}") from error
        _refuse_variants(state)
        architecture = settings.architecture
        weights: Mapping[str, StoredTensor] = _Named(path, state, architecture, config)
        if settings.complement:
            config = ComplementConfig(Member(architecture, config), settings.complement)
            architecture, weights = "complement", Renamed(weights, added="model.")
    return StoredModel(
        architecture, config, weights, path, Digest([path], (repr(config),)), licence
    )


def _refuse_variants(state: Mapping[str, Any]) -> None:
    for part, what in _VARIANTS.items():
        if any(part in name for name in state):
            raise CheckpointError(
                f"its weights are of a variant with {what}, which unbraid does not have"
            )


class _Named(OnFirstUse):
    """Weights of a file of Music-Source-Separation-Training."""

    def __init__(
        self, path: Path, state: Mapping[str, Any], architecture: str, config: Any
    ) -> None:
        self._path, self._state = path, state
        self._architecture, self._config = architecture, config

    @cached_property
    def _found(self) -> dict[str, StoredTensor]:
        with naming(self._path):
            shapes = weight_shapes(self._architecture, self._config)
            names = names_of(self._architecture, list(shapes), self._config)
            state = dict(self._state)
            for own, public in names.items():
                if public not in state and (rates := _computed(public, shapes[own])):
                    state[public] = rates
            _compare(shapes, names, state)
            return {own: as_stored(state[public]) for own, public in names.items()}


def _computed(name: str, shape: tuple[int, ...]) -> StoredTensor | None:
    """Rates of positions; some files leave them out, since they follow from the settings."""
    if not name.endswith((".rotary_embed.freqs", ".pope_embed.inv_freqs")):
        return None
    rates = 10_000.0 ** -(np.arange(shape[0]) / shape[0])
    return StoredTensor(shape, "F32", lambda: rates.astype(np.float32))


def _compare(
    shapes: Mapping[str, tuple[int, ...]], names: Mapping[str, str], state: Mapping[str, Any]
) -> None:
    """Raise `CheckpointError` unless the file has exactly the network's weights."""
    missing = sorted(set(names.values()) - state.keys())
    unknown = sorted(state.keys() - set(names.values()))
    for what, found in (("lacks", missing), ("has unknown", unknown)):
        if found:
            raise CheckpointError(
                f"the weights do not fit the settings: the file {what} {found[0]!s:.100}"
                f"{f' and {len(found) - 1} more' if len(found) > 1 else ''}; is it the right "
                "settings file?"
            )
    for own, public in names.items():
        value = state[public]
        if not is_float(value) and not public.endswith("num_batches_tracked"):
            raise CheckpointError(f"weight {public} is not a floating-point tensor")
        if tuple(value.shape) != shapes[own]:
            raise CheckpointError(
                f"the weights do not fit the settings: {public} has shape {tuple(value.shape)}, "
                f"the network takes {shapes[own]}; is it the right settings file?"
            )
