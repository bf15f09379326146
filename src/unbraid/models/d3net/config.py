"""Settings of D3Net."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from unbraid.errors import SettingsError
from unbraid.models.checks import Range
from unbraid.models.settings import SystemConfig


@dataclass(frozen=True)
class D3NetConfig(SystemConfig):
    """Settings of D3Net; defaults are the published network for vocals and other.

    Three U-Nets read the lowest bins, the others, and all of them. For each, `..._growths` has the
    features of every dense block on the way down, in the middle and up, `..._depths` its
    convolutions, `..._stages` how many blocks make one, `..._width` the features that come in.

    Attributes:
        n_fft, hop: of the STFT.
        bins: bins that are estimated, from 0 Hz; those above are the mixture's.
        split: bins of the low band.
        final_growth, final_depth: of the dense block at the end.
        norm_epsilon: added to variances in norms; public files of the port have 1e-12.
        wiener: whether the stems pass a Wiener filter, in evaluation mode.
    """

    stems: tuple[str, ...] = ("vocals", "drums", "bass", "other")
    n_fft: int = 4096
    hop: int = 1024
    bins: int = 1600
    split: int = 256
    low_width: int = 32
    low_growths: tuple[int, ...] = (16, 18, 20, 22, 20, 18, 16)
    low_depths: tuple[int, ...] = (5, 5, 5, 5, 4, 4, 4)
    low_stages: int = 2
    rest_width: int = 8
    rest_growths: tuple[int, ...] = (2, 2, 2, 2, 2)
    rest_depths: tuple[int, ...] = (1, 1, 1, 1, 1)
    rest_stages: int = 1
    full_width: int = 32
    full_growths: tuple[int, ...] = (13, 14, 15, 16, 17, 16, 14, 12, 11)
    full_depths: tuple[int, ...] = (4, 5, 6, 7, 8, 6, 5, 4, 4)
    full_stages: int = 2
    final_growth: int = 12
    final_depth: int = 3
    norm_epsilon: float = 1e-5
    wiener: bool = True

    RANGES: ClassVar[Mapping[str, Range]] = {
        "bins": (2, 1 << 16),
        "split": (1, 1 << 16),
        **{f"{band}_width": (1, 4096) for band in ("low", "rest", "full")},
        **{f"{band}_growths": (1, 4096) for band in ("low", "rest", "full")},
        **{f"{band}_depths": (1, 32) for band in ("low", "rest", "full")},
        **{f"{band}_stages": (1, 32) for band in ("low", "rest", "full")},
        "final_growth": (1, 4096),
        "final_depth": (1, 32),
        "norm_epsilon": (0, 1),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        for band in self.bands:
            if len(band.growths) != len(band.depths) or len(band.growths) % 2 == 0:
                raise SettingsError(
                    "growths and depths of a band have the same, odd number of items, got "
                    f"{band.growths} and {band.depths}"
                )
        if not self.split < self.bins <= self.n_fft // 2 + 1:
            raise SettingsError(
                f"split < bins <= n_fft / 2 + 1, got {self.split}, {self.bins}, {self.n_fft}"
            )
        if self.wiener and (self.audio_channels > 2 or len(self.stems) < 2):
            raise SettingsError(
                "Wiener filtering takes 1 or 2 audio channels and 2 stems or more, got "
                f"{self.audio_channels} and {self.stems}; set wiener to false"
            )

    @property
    def bands(self) -> tuple[Band, Band, Band]:
        """Low band, the rest, and all bins."""
        return (
            Band(self.low_width, self.low_growths, self.low_depths, self.low_stages),
            Band(self.rest_width, self.rest_growths, self.rest_depths, self.rest_stages),
            Band(self.full_width, self.full_growths, self.full_depths, self.full_stages),
        )


@dataclass(frozen=True)
class Band:
    """One of the three U-Nets."""

    width: int
    growths: tuple[int, ...]
    depths: tuple[int, ...]
    stages: int

    @property
    def levels(self) -> int:
        """How often time and frequency are halved."""
        return len(self.growths) // 2
