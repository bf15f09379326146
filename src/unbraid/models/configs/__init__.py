"""What models are made by, as plain data: nothing here imports torch.

A checkpoint's config can be read, checked and planned by without loading what runs it.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

from unbraid.errors import CheckpointError
from unbraid.models.configs.demucs import DemucsConfig
from unbraid.models.configs.hybrid_demucs import HybridDemucsConfig
from unbraid.models.configs.spectral import SpectrogramDemucsConfig
from unbraid.models.configs.two_rate_demucs import TwoRateDemucsConfig

CONFIGS: dict[str, type[Any]] = {
    "hybrid_demucs": HybridDemucsConfig,
    "spectrogram_demucs": SpectrogramDemucsConfig,
    "demucs": DemucsConfig,
    "two_rate_demucs": TwoRateDemucsConfig,
}
"""Architecture name -> its config."""


def make_config(architecture: str, config: Mapping[str, Any]) -> Any:
    """The config dataclass of plain values, as a checkpoint or a recipe holds them.

    Raises:
        CheckpointError: for an unknown architecture or config key, naming the nearest known one.
    """
    if architecture not in CONFIGS:
        known = set(CONFIGS)
        raise CheckpointError(
            f"unknown architecture {architecture!r}{did_you_mean(architecture, known)}; "
            f"known are {', '.join(sorted(known))}"
        )
    config_class = CONFIGS[architecture]
    known = {field.name for field in dataclasses.fields(config_class)}
    for key in config:
        if key not in known:
            raise CheckpointError(
                f"{architecture} has no setting {key!r}{did_you_mean(key, known)}"
            )
    return config_class(**{k: tuple(v) if isinstance(v, list) else v for k, v in config.items()})


def did_you_mean(name: str, known: set[str]) -> str:
    """' (did you mean ...?)' where a known name is near, else nothing."""
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
