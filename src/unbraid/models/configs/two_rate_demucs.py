"""Everything that makes a Two-rate Demucs: the config beside `models/two_rate_demucs.py`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from unbraid.errors import SettingsError
from unbraid.models.configs.hybrid_demucs import HybridDemucsConfig
from unbraid.models.limits import check_limits
from unbraid.models.quarter_rate import FACTOR


@dataclass(frozen=True)
class TwoRateDemucsConfig(HybridDemucsConfig):
    """Two models of Hybrid Demucs: settings of the one at full rate, and how the other differs.

    Attributes:
        low_width: features after the first layer of the one at a quarter of the rate. Its STFT has
            a quarter of the samples, so the same frames, and it is one level less deep.
    """

    low_width: int = 48

    @property
    def full(self) -> HybridDemucsConfig:
        """Of the model at full rate."""
        names = [field.name for field in dataclasses.fields(HybridDemucsConfig)]
        own = {name: getattr(self, name) for name in names}
        return HybridDemucsConfig(**{**own, "ratio_masks": False})

    @property
    def low(self) -> HybridDemucsConfig:
        """Of the model at a quarter of it."""
        return dataclasses.replace(
            self.full,
            sample_rate=self.sample_rate // FACTOR,
            n_fft=self.n_fft // FACTOR,
            depth=self.depth - 1,
            width=self.low_width,
            time_width=None,
        )

    def check(self) -> None:
        """Raise `SettingsError` if one of the models would not do, or they would not fit."""
        check_limits(self)
        if self.sample_rate % FACTOR or self.stride != FACTOR:
            raise SettingsError(
                f"a two-rate model has a sample rate that {FACTOR} divides, and stride {FACTOR}; "
                f"got {self.sample_rate} and {self.stride}"
            )
        super().check()
        self.low.check()
