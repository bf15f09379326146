"""Which models have an inference form, and where it is used."""

from __future__ import annotations

from torch import nn

from unbraid.models.base import ModelSpec, SeparationModel
from unbraid.models.hybrid_demucs import HybridDemucs
from unbraid.models.rates import to_quarter_rate, with_low_band
from unbraid.models.two_rate_demucs import TwoRateDemucs
from unbraid.runtimes.inference.hybrid import QuickHybridDemucs, fits
from unbraid.shapes import Estimates, Mixture


def quicken(model: SeparationModel) -> SeparationModel:
    """The form of `model` that separates faster on the CPU; `model` itself where there is none."""
    if type(model) is HybridDemucs and fits(model.config):
        return QuickHybridDemucs(model)
    if type(model) is TwoRateDemucs and fits(model.config.full) and fits(model.config.low):
        return QuickTwoRateDemucs(model)
    return model


class QuickTwoRateDemucs(nn.Module):
    """(b c t) -> (b s c t), both parts in their inference forms; for the CPU only."""

    def __init__(self, model: TwoRateDemucs) -> None:
        super().__init__()
        self.model = model
        self._full, self._low = QuickHybridDemucs(model.full), QuickHybridDemucs(model.low)

    @property
    def spec(self) -> ModelSpec:
        """That of the model."""
        return self.model.spec

    def valid_samples(self, samples: int) -> int:
        """Any length will do."""
        return samples

    def forward(self, mixture: Mixture) -> Estimates:
        """Separate songs."""
        return with_low_band(self._full(mixture), self._low(to_quarter_rate(mixture)))
