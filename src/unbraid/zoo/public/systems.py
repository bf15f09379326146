"""Files of the classic systems; system and settings are recognized by the weights.

    a table of weights, bare or      Open-Unmix, Demucs v2, Conv-TasNet for music,
    under `state_dict` or `model`    ResUNetDecouple+, CaC TFC-TDF U-Net
    `model_name`, `model_args`,      packages of asteroid: ConvTasNet, DPRNNTasNet, XUMX
    `state_dict`

A network saved stem by stem becomes a model of one stem, named after the file.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.errors import CheckpointError, SettingsError
from unbraid.models.cac_unet import public as cac_names
from unbraid.models.conv_tasnet import public as tasnet_names
from unbraid.models.demucs_v2 import public as demucs_names
from unbraid.models.dprnn import public as dprnn_names
from unbraid.models.open_unmix import public as unmix_names
from unbraid.models.registry import make_config, weight_shapes
from unbraid.models.res_u_net import public as resunet_names
from unbraid.models.x_umx import public as x_umx_names
from unbraid.zoo.hashes import Digest
from unbraid.zoo.public.asteroid import asteroid_settings
from unbraid.zoo.public.package import naming
from unbraid.zoo.stored import StoredModel, StoredTensor, is_float

Shapes = Mapping[str, tuple[int, ...]]
_WRAPPERS = ("state_dict", "model")
_PREFIXES = ("spec2spec.", "module.")
_COMPUTED = ("num_batches_tracked", "window", "freq_pad", "sample_rate")
_COMPUTED_STARTS = ("stft.", "istft.")


@dataclass(frozen=True)
class System:
    """One of our networks, found in a file.

    Attributes:
        architecture, settings: as `models.registry.make_config` takes them.
        name: our name of a weight, and the config -> its name in the file.
    """

    architecture: str
    settings: Mapping[str, Any]
    name: Callable[[str, Any], str]


def stored_system(path: Path, content: Any) -> StoredModel | None:
    """The model in the content of a torch file; None if it is not one of these systems.

    Raises:
        CheckpointError: if the weights do not fit the recognized system.
    """
    found = recognize(content, path.stem)
    if found is None:
        return None
    system, state = found
    with naming(path):
        try:
            config = make_config(system.architecture, system.settings)
        except (TypeError, ValueError, ArithmeticError, SettingsError) as error:
            raise CheckpointError(f"its settings make no model: {error!s:.300}") from error
    weights = Fitted(path, system, config, state)
    return StoredModel(system.architecture, config, weights, path, Digest([path]))


def recognize(content: Any, file_name: str) -> tuple[System, dict[str, Any]] | None:
    """The system that a file's content belongs to, and its weights."""
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
        return None if made is None else (System(*made, _ASTEROID[made[0]]), state)
    for key, read in _BY_KEY.items():
        if key in shapes:
            return read(shapes, stem_in(file_name)), state
    return None


def stem_in(file_name: str) -> str:
    """The stem in the name of a file, "stem" if there is none.

    >>> stem_in("vocals-b62c91ce"), stem_in("model")
    ('vocals', 'stem')
    """
    known = ("vocals", "drums", "bass", "other", "accompaniment", "speech", "noise")
    return next((stem for stem in known if stem in file_name.lower()), "stem")


def _open_unmix(shapes: Shapes, stem: str) -> System:
    bins, all_bins = shapes["input_mean"][0], shapes["output_mean"][0]
    hidden, inputs = shapes["fc1.weight"]
    settings = {
        "stems": (stem,),
        "n_fft": 2 * (all_bins - 1),
        "hop": (all_bins - 1) // 2,
        "bins": bins,
        "hidden": hidden,
        "audio_channels": max(1, inputs // max(1, bins)),
        "both_ways": "lstm.weight_ih_l0_reverse" in shapes,
        "lstm_layers": _count(shapes, "lstm.weight_ih_l{}"),
        "sample_rate": 16000 if all_bins == 513 else 44100,
        "wiener_iterations": 0,
    }
    return System("open_unmix", settings, lambda own, c: unmix_names.public_name(own, c.stems)[1])


def _demucs_v2(shapes: Shapes, stem: str) -> System:
    width, channels, kernel = shapes["encoder.0.0.weight"]
    depth = _count(shapes, "encoder.{}.0.weight")
    last = shapes[f"decoder.{depth - 1}.2.weight"]
    rewrite = shapes["decoder.0.0.weight"]
    stems: tuple[str, ...] = ("drums", "bass", "other", "vocals")
    if last[1] != channels * len(stems):
        stems = tuple(f"stem {index + 1}" for index in range(last[1] // max(1, channels)))
    settings = {
        "stems": stems,
        "audio_channels": channels,
        "width": width,
        "depth": depth,
        "kernel": kernel,
        "context": rewrite[2],
        "gated": rewrite[0] == 2 * rewrite[1],
        "lstm_layers": _count(shapes, "lstm.lstm.weight_ih_l{}"),
    }
    return System("demucs_v2", settings, lambda own, c: demucs_names.public_name(own))


def _music_tasnet(shapes: Shapes, stem: str) -> System:
    basis, channels, kernel = shapes["encoder.conv1d_U.weight"]
    settings = {
        "audio_channels": channels,
        "basis": basis,
        "kernel": kernel,
        "stride": kernel // 2,
        "width": shapes["separator.network.1.weight"][0],
        "hidden": shapes["separator.network.2.0.0.net.0.weight"][0],
        "repeats": _count(shapes, "separator.network.2.{}.0.net.0.weight"),
        "blocks": _count(shapes, "separator.network.2.0.{}.net.0.weight"),
    }
    return System("conv_tasnet", settings, tasnet_names.public_name)


def _res_u_net(shapes: Shapes, stem: str) -> System:
    maps = shapes["after_conv2.weight"][0]
    channels = shapes["encoder_block1.conv_block1.conv1.weight"][1]
    settings = {"stems": (stem,), "audio_channels": channels}
    if maps != 4 * channels:
        count = maps // max(1, 4 * channels)
        settings = {**settings, "stems": tuple(f"stem {i + 1}" for i in range(count))}
    settings["joint"] = True
    return System("res_u_net", settings, lambda own, c: resunet_names.public_name(own))


def _cac_unet(shapes: Shapes, stem: str) -> System:
    width, channels = shapes["first_conv.0.weight"][:2]
    settings = {
        "stems": (stem,),
        "audio_channels": channels // 2,
        "n_fft": 2 * shapes["encoders.0.tif.tif.0.weight"][1],
        "width": width,
        "levels": _count(shapes, "encoders.{}.tfc.H.0.0.weight"),
        "layers": _count(shapes, "encoders.0.tfc.H.{}.0.weight"),
        "kernel": shapes["encoders.0.tfc.H.0.0.weight"][2],
        "bias": "encoders.0.tif.tif.0.bias" in shapes,
    }
    return System("cac_unet", settings, lambda own, c: cac_names.public_name(own))


_BY_KEY: dict[str, Callable[[Shapes, str], System]] = {
    "output_mean": _open_unmix,
    "encoder.0.0.weight": _demucs_v2,
    "encoder.conv1d_U.weight": _music_tasnet,
    "after_conv2.weight": _res_u_net,
    "encoders.0.tif.tif.0.weight": _cac_unet,
}
"""A weight that only one system has -> function that reads the settings from the weights."""

_ASTEROID: dict[str, Callable[[str, Any], str]] = {
    "conv_tasnet": tasnet_names.public_name,
    "dprnn": dprnn_names.public_name,
    "x_umx": lambda own, config: x_umx_names.public_name(own, config.stems),
}


def _count(names: Collection[str], pattern: str) -> int:
    """How many names exist for {} = 0, 1, 2, ...; 1000 at most."""
    return next((i for i in range(1000) if pattern.format(i) not in names), 1000)


class Fitted(Mapping[str, StoredTensor]):
    """Weights of a file by our names, in our layout, checked on first use."""

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

    def __getitem__(self, name: str) -> StoredTensor:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


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
    if tensor.shape == shape:
        return tensor
    if [n for n in tensor.shape if n != 1] != [n for n in shape if n != 1]:
        raise CheckpointError(
            f"weight {name!s:.100} has shape {tensor.shape}, the model takes {shape}"
        )
    return StoredTensor(shape, tensor.kind, lambda: tensor.read().reshape(shape))
