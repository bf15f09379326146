"""All settings of a TFC-TDF v3, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

from unbraid.errors import SettingsError
from unbraid.models.base import ModelSpec
from unbraid.models.checks import check_divides, check_fields
from unbraid.models.settings import spec_of

_RANGES: dict[str, tuple[float, float]] = {
    "used_bins": (1, 1 << 16),
    "subbands": (1, 1024),
    "scales": (1, 12),
    "scale_time": (1, 64),
    "scale_frequency": (1, 64),
    "blocks": (1, 64),
    "growth": (0, 16_384),
    "bottleneck": (1, 1024),
    "norm_groups": (1, 16_384),
    "elu_alpha": (0, 1e3),
}


@dataclass(frozen=True)
class TFCTDFConfig:
    """All settings of a TFC-TDF v3; defaults are those of the published two-stem MDX23C.

    Attributes:
        stems: names of the parts.
        sample_rate, audio_channels: of mixture and estimates.
        segment_s: length one forward pass is meant for, in seconds.
        n_fft, hop, used_bins: of the STFT; bins above the first `used_bins` are left out.
        subbands: parts of the frequency axis that become channels.
        width: features at full resolution, `growth` more on each of `scales` levels.
        scale_time, scale_frequency: how much shorter each axis is one level down.
        blocks: on each level.
        bottleneck: how many times narrower the linear maps over frequency are inside.
        norm: "instance", "batch", "group" (of `norm_groups`) or "none".
        activation: "gelu", "relu" or "elu" (of `elu_alpha`).
        normalize: as in `ModelSpec`.
    """

    stems: tuple[str, ...] = ("vocals", "instrumental")
    sample_rate: int = 44100
    audio_channels: int = 2
    segment_s: float = 261_120 / 44100
    n_fft: int = 8192
    hop: int = 1024
    used_bins: int = 4096
    subbands: int = 4
    width: int = 128
    growth: int = 128
    scales: int = 5
    scale_time: int = 2
    scale_frequency: int = 2
    blocks: int = 2
    bottleneck: int = 4
    norm: str = "instance"
    norm_groups: int = 4
    activation: str = "gelu"
    elu_alpha: float = 1.0
    normalize: bool = False

    def __post_init__(self) -> None:
        choices = {
            "norm": ("instance", "batch", "group", "none"),
            "activation": ("gelu", "relu", "elu"),
        }
        check_fields(self, _RANGES, choices)
        if self.n_fft % 2 or 2 * self.hop > self.n_fft or self.used_bins > self.n_fft // 2 + 1:
            raise SettingsError(
                f"n_fft is even and at least two hops, used_bins at most {self.n_fft // 2 + 1}; "
                f"got n_fft {self.n_fft}, hop {self.hop}, used_bins {self.used_bins}"
            )
        shrinks = self.subbands * self.scale_frequency**self.scales
        check_divides("subbands * scale_frequency ** scales", shrinks, "used_bins", self.used_bins)
        if self.norm == "group":
            for level in range(self.scales + 1):
                width = self.width + level * self.growth
                check_divides("norm_groups", self.norm_groups, "each width", width)
        if self.used_bins // shrinks < self.bottleneck:
            raise SettingsError(f"bottleneck {self.bottleneck} leaves no rows on the lowest level")

    @property
    def spec(self) -> ModelSpec:
        """Stems, rate, channels and segment."""
        return spec_of(self, normalize=self.normalize)

    def valid_samples(self, samples: int) -> int:
        """The next length whose frames halve on every level."""
        multiple = int(self.scale_time**self.scales)
        frames = -(-(samples // self.hop + 1) // multiple) * multiple
        exact = (frames - 1) * self.hop
        # Lengths between two frames have as many frames as the first of them.
        return exact if exact >= samples else exact + multiple * self.hop

    def level_width(self, level: int) -> int:
        """Features of a level, 0 being full resolution."""
        return self.width + level * self.growth

    def level_rows(self, level: int) -> int:
        """Frequency rows of a level."""
        return self.used_bins // self.subbands // int(self.scale_frequency**level)
