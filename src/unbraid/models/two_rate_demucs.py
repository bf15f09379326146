"""Two-rate Demucs: the lowest quarter of the band by one Hybrid Demucs, the rest by another.

Most of what stems share lies low: of the errors of a small model nine tenths are below 5 kHz. A
model at a quarter of the sample rate sees a signal a quarter as long, costs little, and hears four
times as many examples in the time of training. What is above, another one of full rate adds.

    mixture ─────────────► full ─────────────────────────── + ─► estimates
       └─ quarter rate ──► low ── - ── back to full rate ───┘
                                  └ full's own, at quarter rate

The whole is trained as one, or its parts one by one. This is unbraid's own; each part is the model
of arXiv:2111.03600.
"""

from __future__ import annotations

from torch import nn

from unbraid.models.base import ModelSpec
from unbraid.models.configs.two_rate_demucs import TwoRateDemucsConfig
from unbraid.models.hybrid_demucs import HybridDemucs
from unbraid.models.rates import to_quarter_rate, with_low_band
from unbraid.shapes import Estimates, Mixture

__all__ = ["TwoRateDemucs", "TwoRateDemucsConfig"]


class TwoRateDemucs(nn.Module):
    """Two models, each for its part of the band. (b c t) -> (b s c t) for any t >= 1."""

    def __init__(self, config: TwoRateDemucsConfig) -> None:
        super().__init__()
        config.check()
        self.config = config
        self.full = HybridDemucs(config.full)
        self.low = HybridDemucs(config.low)

    @property
    def spec(self) -> ModelSpec:
        """Stems, rate, channels and segment; any length is fine."""
        return self.config.spec

    def valid_samples(self, samples: int) -> int:
        """Any length will do."""
        return samples

    def forward(self, mixture: Mixture) -> Estimates:
        """Separate songs: (batch, channels, samples) -> (batch, stems, channels, samples)."""
        return with_low_band(self.full(mixture), self.low(to_quarter_rate(mixture)))
