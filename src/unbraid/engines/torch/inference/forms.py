"""Which models have an inference form, and where it is used."""

from __future__ import annotations

from typing import Any

from torch import nn

from unbraid.engines.torch.inference.hybrid import QuickHybridDemucs, fits
from unbraid.models.compose.network import ComposedNetwork
from unbraid.models.hybrid_demucs.network import HybridDemucs


def quicken(model: nn.Module) -> Any:
    """The form of `model` that separates faster on the CPU; `model` itself where there is none."""
    if isinstance(model, ComposedNetwork):
        return model.with_members(quicken)
    if type(model) is HybridDemucs and fits(model.config):
        return QuickHybridDemucs(model)
    return model
