"""From an architecture's name and a plain config to a model: the one table of architectures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import nn

from unbraid.errors import CheckpointError
from unbraid.models.configs import CONFIGS, did_you_mean, make_config
from unbraid.models.demucs import Demucs
from unbraid.models.hybrid_demucs import HybridDemucs
from unbraid.models.spectrogram_demucs import SpectrogramDemucs
from unbraid.models.two_rate_demucs import TwoRateDemucs

__all__ = ["ARCHITECTURES", "build_model", "describe_model", "did_you_mean"]

_MODELS: dict[str, type[nn.Module]] = {
    "hybrid_demucs": HybridDemucs,
    "spectrogram_demucs": SpectrogramDemucs,
    "demucs": Demucs,
    "two_rate_demucs": TwoRateDemucs,
}

ARCHITECTURES: dict[str, tuple[type[Any], type[nn.Module]]] = {
    name: (CONFIGS[name], model_class) for name, model_class in _MODELS.items()
}
"""Architecture name -> (config dataclass, model class). A new model is a line in both tables."""


def build_model(architecture: str, config: Mapping[str, Any]) -> nn.Module:
    """Make an untrained model from plain values, as a checkpoint or a recipe holds them.

    Raises:
        CheckpointError: for an unknown architecture or config key, naming the nearest known one.
    """
    made = make_config(architecture, config)
    model: nn.Module = _MODELS[architecture](made)
    return model


def describe_model(model: nn.Module) -> tuple[str, dict[str, Any]]:
    """Architecture name and plain config of a model, as `build_model` takes them."""
    for name, model_class in _MODELS.items():
        if type(model) is model_class:
            return name, dataclasses.asdict(model.config)  # type: ignore[call-overload]
    raise CheckpointError(
        f"{type(model).__name__} is not an architecture of unbraid; known are {', '.join(_MODELS)}"
    )
