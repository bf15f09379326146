"""Settings of KUIELAB-MDX-Net."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from unbraid.errors import SettingsError
from unbraid.models.checks import Range
from unbraid.models.settings import SystemConfig


@dataclass(frozen=True)
class MDXNetConfig(SystemConfig):
    """Settings of KUIELAB-MDX-Net; defaults are those of the published four networks.

    Attributes:
        n_ffts: STFT size of each stem's network, in the order of `stems`.
        hop: of all STFTs.
        bins: frequency bins that a network sees, from 0 Hz; the rest of its estimate is silent.
        width: features of the first level; each level has `width` more than the one before.
        levels: how often time and frequency are halved.
        layers, kernel: convolutions of a block, and their size.
        bottleneck_factor: how much narrower the middle of the layers along frequency is; 1 for a
            single layer, 0 for no such layers.
        bias: whether the layers along frequency have biases.
        mixer: whether a linear layer at the end mixes all estimates and the mixture.
    """

    stems: tuple[str, ...] = ("bass", "drums", "other", "vocals")
    segment_s: float = 5.921
    n_ffts: tuple[int, ...] = (16384, 4096, 8192, 6144)
    hop: int = 1024
    bins: int = 2048
    width: int = 32
    levels: int = 5
    layers: int = 3
    kernel: int = 3
    bottleneck_factor: int = 8
    bias: bool = False
    mixer: bool = True

    RANGES: ClassVar[Mapping[str, Range]] = {
        "n_ffts": (8, 1 << 17),
        "bins": (1, 1 << 16),
        "width": (1, 4096),
        "levels": (1, 12),
        "layers": (1, 64),
        "kernel": (1, 63),
        "bottleneck_factor": (0, 4096),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.n_ffts) != len(self.stems):
            raise SettingsError(
                f"n_ffts has an STFT size for each stem ({len(self.stems)}), got {self.n_ffts}"
            )
        if any(size % 2 or size // 2 + 1 < self.bins for size in self.n_ffts):
            raise SettingsError(
                f"an STFT of even size has n_fft / 2 + 1 bins, at least the {self.bins} that a "
                f"network sees; got {self.n_ffts}"
            )
        if self.bins % 2**self.levels or self.kernel % 2 == 0:
            raise SettingsError(
                "bins is a multiple of 2 to the power levels and the kernel is odd, got "
                f"{self.bins}, 2 to the power {self.levels} and {self.kernel}"
            )
