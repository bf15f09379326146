"""Two rates: the lowest quarter of the band by one model, the rest by another.

Most of what stems share lies low: nine tenths of a small model's errors are below 5 kHz. A model at
a quarter of the sample rate sees a signal a quarter as long, costs little, and hears four times as
many examples in the same training time. A second model at the full rate adds what is above.

    mixture ─────────────► full ─────────────────────────── + ─► estimates
       └─ quarter rate ──► low ── - ── back to full rate ───┘
                                  └ full's own, at quarter rate

The whole is trained as one, or its parts one by one. This is unbraid's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unbraid.errors import SettingsError
from unbraid.models.base import ModelSpec
from unbraid.models.compose.composite import Composite
from unbraid.models.compose.quarter_rate import FACTOR, to_quarter_rate, with_low_band
from unbraid.models.registry import Member


@dataclass(frozen=True)
class TwoRateConfig:
    """Two models, the second at a quarter of the first one's sample rate.

    Attributes:
        full: the model at the full rate, whose high band counts.
        low: the model at a quarter of it.
    """

    full: Member
    low: Member

    def __post_init__(self) -> None:
        full, low = self.full.config.spec, self.low.config.spec
        if full.sample_rate != FACTOR * low.sample_rate:
            raise SettingsError(
                f"a two-rate model has a second model at a quarter of the first one's sample rate; "
                f"got {full.sample_rate} and {low.sample_rate} Hz"
            )
        if (full.stems, full.channels) != (low.stems, low.channels):
            raise SettingsError(
                f"both models of a two-rate model have the same stems and channels, got "
                f"{full.stems} in {full.channels} and {low.stems} in {low.channels} channels"
            )

    @property
    def members(self) -> dict[str, Member]:
        """Both models, "full" and "low"."""
        return {"full": self.full, "low": self.low}

    @property
    def spec(self) -> ModelSpec:
        """That of the model at the full rate."""
        spec: ModelSpec = self.full.config.spec
        return spec


class TwoRate(Composite):
    """Two models, each for its part of the band."""

    def share(self, mixture: Any) -> dict[str, Any]:
        """The mixture, and at a quarter of its rate."""
        return {"low": to_quarter_rate(mixture), "full": mixture}

    def join(self, mixture: Any, estimates: Mapping[str, Any]) -> Any:
        """The low band of the one, the high band of the other."""
        return with_low_band(estimates["full"], estimates["low"])

    def member_samples(self, samples: int) -> dict[str, int]:
        """The second model sees a quarter of the samples."""
        return {"full": samples, "low": -(-samples // FACTOR)}
