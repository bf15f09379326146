"""From an architecture's name and a plain config to a model: the one table of architectures."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

from torch import nn

from unbraid.errors import CheckpointError
from unbraid.models.demucs import Demucs, DemucsConfig
from unbraid.models.hybrid_demucs import HybridDemucs, HybridDemucsConfig
from unbraid.models.spectrogram_demucs import SpectrogramDemucs, SpectrogramDemucsConfig

ARCHITECTURES: dict[str, tuple[type[Any], type[nn.Module]]] = {
    "hybrid_demucs": (HybridDemucsConfig, HybridDemucs),
    "spectrogram_demucs": (SpectrogramDemucsConfig, SpectrogramDemucs),
    "demucs": (DemucsConfig, Demucs),
}
"""Architecture name -> (config dataclass, model class). A new model is one line here."""


def build_model(architecture: str, config: Mapping[str, Any]) -> nn.Module:
    """Make an untrained model from plain values, as a checkpoint or a recipe holds them.

    Raises:
        CheckpointError: for an unknown architecture or config key, naming the nearest known one.
    """
    config_class, model_class = _entry(architecture)
    known = {field.name for field in dataclasses.fields(config_class)}
    for key in config:
        if key not in known:
            raise CheckpointError(
                f"{architecture} has no setting {key!r}{did_you_mean(key, known)}"
            )
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
    model: nn.Module = model_class(config_class(**plain))
    return model


def describe_model(model: nn.Module) -> tuple[str, dict[str, Any]]:
    """Architecture name and plain config of a model, as `build_model` takes them."""
    for name, (_, model_class) in ARCHITECTURES.items():
        if type(model) is model_class:
            return name, dataclasses.asdict(model.config)  # type: ignore[call-overload]
    raise CheckpointError(
        f"{type(model).__name__} is not an architecture of unbraid; known are "
        f"{', '.join(ARCHITECTURES)}"
    )


def did_you_mean(name: str, known: set[str]) -> str:
    """' (did you mean ...?)' where a known name is near, else nothing."""
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _entry(architecture: str) -> tuple[type[Any], type[nn.Module]]:
    if architecture not in ARCHITECTURES:
        known = set(ARCHITECTURES)
        raise CheckpointError(
            f"unknown architecture {architecture!r}{did_you_mean(architecture, known)}; "
            f"known are {', '.join(sorted(known))}"
        )
    return ARCHITECTURES[architecture]
