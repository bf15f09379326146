"""Settings of the CaC TFC-TDF U-Net."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from unbraid.errors import SettingsError
from unbraid.models.checks import Range
from unbraid.models.settings import SystemConfig

CAC_RANGES: Mapping[str, Range] = {
    "n_fft": (8, 1 << 17),
    "hop": (1, 1 << 17),
    "width": (1, 4096),
    "levels": (1, 12),
    "layers": (1, 64),
    "kernel": (1, 63),
    "bottleneck_factor": (1, 4096),
    "least_bottleneck": (1, 4096),
}


@dataclass(frozen=True)
class CacUNetConfig(SystemConfig):
    """Settings of a TFC-TDF U-Net on complex spectrograms, one network for each stem.

    The published large model has `n_fft=4096, levels=4, bias=True`.

    Attributes:
        n_fft, hop: of the STFT.
        width: features inside.
        levels: how often time and frequency are halved.
        layers, kernel: convolutions of a block, and their size.
        bottleneck_factor: how much narrower the middle of the layers along frequency is, but not
            below `least_bottleneck` rows.
        bias: whether the layers along frequency have biases, and their norms gains.
    """

    stems: tuple[str, ...] = ("vocals", "drums", "bass", "other")
    segment_s: float = 2.9489
    n_fft: int = 2048
    hop: int = 1024
    width: int = 24
    levels: int = 3
    layers: int = 5
    kernel: int = 3
    bottleneck_factor: int = 16
    least_bottleneck: int = 16
    bias: bool = False

    RANGES: ClassVar[Mapping[str, Range]] = CAC_RANGES

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_fft // 2 % 2**self.levels or self.n_fft % 2:
            raise SettingsError(
                f"n_fft / 2 is a multiple of 2 to the power levels, got {self.n_fft} / 2 and "
                f"2 to the power {self.levels}"
            )
        if self.kernel % 2 == 0:
            raise SettingsError(f"the kernel is odd, got {self.kernel}")
