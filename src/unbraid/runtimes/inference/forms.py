"""Which models have an inference form, and where it is used."""

from __future__ import annotations

from unbraid.models.base import SeparationModel
from unbraid.models.hybrid_demucs import HybridDemucs
from unbraid.runtimes.inference.hybrid import QuickHybridDemucs, fits


def quicken(model: SeparationModel) -> SeparationModel:
    """The form of `model` that separates faster on the CPU; `model` itself where there is none."""
    if type(model) is HybridDemucs and fits(model.config):
        return QuickHybridDemucs(model)
    return model
