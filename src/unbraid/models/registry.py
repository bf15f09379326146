"""All architectures by name: one line each. Modules are imported on first use.

A new architecture is a folder `models/NAME/` with `config.py` (a frozen dataclass, no torch) and
`network.py` (a `Network`), and one line in `NETWORKS`. A model made of models is a file in
`models/compose/` and one line in `COMPOSITES`.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import importlib.util
import typing
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from unbraid.errors import CheckpointError, SettingsError
from unbraid.models.base import Member as Member

if TYPE_CHECKING:
    from unbraid.models.network import Network

NETWORKS: dict[str, str] = {
    "hybrid_demucs": "unbraid.models.hybrid_demucs HybridDemucs",
    "spectrogram_demucs": "unbraid.models.spectrogram_demucs SpectrogramDemucs",
    "demucs": "unbraid.models.demucs Demucs",
    "band_unet": "unbraid.models.band_unet BandUNet",
    "demucs_v2": "unbraid.models.demucs_v2 DemucsV2",
    "wave_u_net": "unbraid.models.wave_u_net WaveUNet",
    "wavenet": "unbraid.models.wavenet WaveNet",
    "conv_tasnet": "unbraid.models.conv_tasnet ConvTasNet",
    "dprnn": "unbraid.models.dprnn DPRNN",
    "open_unmix": "unbraid.models.open_unmix OpenUnmix",
    "x_umx": "unbraid.models.x_umx XUMX",
    "d3net": "unbraid.models.d3net D3Net",
    "cac_unet": "unbraid.models.cac_unet CacUNet",
    "lasaft": "unbraid.models.lasaft LaSAFT",
    "res_u_net": "unbraid.models.res_u_net ResUNet",
    "mdx_net": "unbraid.models.mdx_net MDXNet",
    "mask_unet": "unbraid.models.mask_unet MaskUNet",
    "htdemucs": "unbraid.models.htdemucs HTDemucs",
    "bs_roformer": "unbraid.models.roformer BSRoformer",
    "mel_band_roformer": "unbraid.models.roformer MelBandRoformer",
    "scnet": "unbraid.models.scnet SCNet",
    "tfc_tdf": "unbraid.models.tfc_tdf TFCTDF",
}
"""Name -> folder and class NAME; the folder has NAMEConfig in config.py and NAME in network.py."""

COMPOSITES: dict[str, str] = {
    "bag": "unbraid.models.compose.bag Bag",
    "chain": "unbraid.models.compose.chain Chain",
    "ratio_masks": "unbraid.models.compose.ratio_masks RatioMasks",
    "two_rate": "unbraid.models.compose.two_rate TwoRate",
    "complement": "unbraid.models.compose.complement Complement",
    "ensemble": "unbraid.models.compose.ensemble Ensemble",
    "per_stem": "unbraid.models.compose.per_stem PerStem",
    "wiener": "unbraid.models.compose.wiener Wiener",
}
"""Name -> file and class NAME of a model made of models; the file has NAMEConfig, too."""

GRAPHS: dict[str, str] = {"exported": "unbraid.models.exported Exported"}
"""What has a config alone: a network inside an ONNX file."""


def architectures() -> tuple[str, ...]:
    """Names of all architectures that can be built, composites last."""
    return (*NETWORKS, *COMPOSITES)


def is_composite(architecture: str) -> bool:
    """Whether it is a model made of models."""
    return architecture in COMPOSITES


@cache
def config_class(architecture: str) -> type[Any]:
    """The config dataclass of an architecture.

    Raises:
        CheckpointError: for an unknown one, naming the nearest.
    """
    table = {**NETWORKS, **COMPOSITES, **GRAPHS}
    if architecture not in table:
        known = set(architectures())
        raise CheckpointError(
            f"unknown architecture {architecture!r}{did_you_mean(architecture, known)}; "
            f"known are {', '.join(sorted(known))}"
        )
    home, name = table[architecture].split()
    module = home if architecture in COMPOSITES else f"{home}.config"
    found: type[Any] = getattr(importlib.import_module(module), f"{name}Config")
    return found


@cache
def composite_class(architecture: str) -> type[Any]:
    """The class of a model made of models: `(config, members) -> SeparationModel`."""
    home, name = COMPOSITES[architecture].split()
    found: type[Any] = getattr(importlib.import_module(home), name)
    return found


def make_config(architecture: str, plain: Mapping[str, Any]) -> Any:
    """The config dataclass for plain values, as a checkpoint or a recipe holds them.

    Raises:
        CheckpointError: for an unknown architecture or setting, naming the nearest known one.
        SettingsError: for settings that make no model.
    """
    made = config_class(architecture)
    hints = typing.get_type_hints(made)
    known = {field.name for field in dataclasses.fields(made)}
    for key in plain:
        if key not in known:
            raise CheckpointError(
                f"{architecture} has no setting {key!r}{did_you_mean(str(key), known)}"
            )
    return made(**{key: _value(hints[key], value) for key, value in plain.items()})


def _value(hint: Any, value: Any) -> Any:
    if hint is Member:
        return _member(value)
    if isinstance(value, (list, tuple)):
        members = Member in typing.get_args(hint)
        return tuple(_member(item) if members else _deep_tuple(item) for item in value)
    return value


def _deep_tuple(value: Any) -> Any:
    return tuple(map(_deep_tuple, value)) if isinstance(value, (list, tuple)) else value


def _member(value: Any) -> Member:
    if isinstance(value, Member):
        return value
    if not isinstance(value, Mapping) or value.keys() != {"architecture", "config"}:
        raise CheckpointError(f"a member is an architecture and a config, got {value!r:.80}")
    architecture = str(value["architecture"])
    if not isinstance(value["config"], Mapping):
        raise CheckpointError(f"the config of {architecture!r:.80} is not a table")
    return Member(architecture, make_config(architecture, value["config"]))


def plain_config(config: Any) -> dict[str, Any]:
    """A config as plain values, as `make_config` takes them; members nest."""
    plain: dict[str, Any] = dataclasses.asdict(config)
    return plain


def architecture_of(config: Any) -> str:
    """The name of the architecture that a config is of.

    Raises:
        CheckpointError: if it is of none.
    """
    name = type(config).__name__.removesuffix("Config")
    for architecture, line in {**NETWORKS, **COMPOSITES, **GRAPHS}.items():
        home, known = line.split()
        if name == known and type(config).__module__ in (home, f"{home}.config"):
            return architecture
    raise CheckpointError(
        f"{type(config).__name__} is the config of no architecture of unbraid; known are "
        f"{', '.join(architectures())}"
    )


def replace_settings(config: Any, **changes: Any) -> Any:
    """The same config with other settings, in each of its members where there are any.

    >>> replace_settings(make_config("demucs", {}), width=8).width
    8
    """
    names = {field.name for field in dataclasses.fields(config)}
    own = {key: value for key, value in changes.items() if key in names}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, Member):
            own[field.name] = Member(value.architecture, replace_settings(value.config, **changes))
    return dataclasses.replace(config, **own)


def build_model(architecture: str, plain: Mapping[str, Any]) -> Network:
    """Make an untrained network of torch from plain values.

    Raises:
        CheckpointError: for an unknown architecture or setting, naming the nearest known one.
        SettingsError: for settings that make no model.
    """
    return build_network(architecture, make_config(architecture, plain))


def build_network(architecture: str, config: Any) -> Network:
    """Make an untrained network of torch from a config dataclass."""
    made: Network
    if is_composite(architecture):
        composed = importlib.import_module("unbraid.models.compose.network")
        made = composed.ComposedNetwork(architecture, config)
    else:
        made = network_class(architecture)(config)
    return made


def network_class(architecture: str) -> type[Any]:
    """The class of torch of an architecture that is not made of others."""
    home, name = NETWORKS[architecture].split()
    found: type[Any] = getattr(importlib.import_module(f"{home}.network"), name)
    return found


def describe_model(model: Any) -> tuple[str, dict[str, Any]]:
    """Architecture and plain config of a network of torch, as `build_model` takes them.

    Raises:
        CheckpointError: if it is not one of unbraid's architectures.
    """
    config = model.__dict__.get("config") if hasattr(model, "__dict__") else None
    if config is None:
        raise CheckpointError(
            f"{type(model).__name__} is not an architecture of unbraid; known are "
            f"{', '.join(architectures())}"
        )
    return architecture_of(config), plain_config(config)


def weight_shapes(architecture: str, config: Any) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every weight, in the order of the network's `state_dict()`.

    An architecture whose folder has `weights.py` needs no torch for it.

    Raises:
        CheckpointError: if the config makes no network.
    """
    if is_composite(architecture):
        return {
            f"{name}.{key}": shape
            for name, member in config.members.items()
            for key, shape in weight_shapes(member.architecture, member.config).items()
        }
    home = f"{NETWORKS[architecture].split()[0]}.weights"
    try:
        if importlib.util.find_spec(home) is not None:
            found: dict[str, tuple[int, ...]] = importlib.import_module(home).weight_shapes(config)
            return found
    except NotImplementedError:
        pass  # this config's weights are known to the network alone
    return _shapes_of_network(architecture, config)


def _shapes_of_network(architecture: str, config: Any) -> dict[str, tuple[int, ...]]:
    import torch

    try:
        with torch.device("meta"):
            state = build_network(architecture, config).state_dict()
    except (TypeError, ValueError, ArithmeticError, SettingsError, RuntimeError) as error:
        raise CheckpointError(f"its config makes no model: {error!s:.300}") from error
    return {name: tuple(value.shape) for name, value in state.items()}


def did_you_mean(name: str, known: set[str]) -> str:
    """' (did you mean ...?)' where a known name is near, else nothing."""
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
