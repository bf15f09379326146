"""Everything that makes a Spectrogram Demucs."""

from __future__ import annotations

from dataclasses import dataclass

from unbraid.models.layers.levels import check_norms
from unbraid.models.spectral.config import SpectralConfig


@dataclass(frozen=True)
class SpectrogramDemucsConfig(SpectralConfig):
    """Settings of a Spectrogram Demucs, those of `SpectralConfig`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        widths = self.spec_widths()
        check_norms([*self.spec_levels(widths), *self.shared_levels(widths)])
