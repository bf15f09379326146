"""Everything that makes a Demucs."""

from __future__ import annotations

from dataclasses import dataclass

from unbraid.models.base import ModelSpec
from unbraid.models.layers.levels import ResidualShape, grow, residual_shape
from unbraid.models.limits import check_limits, check_widths
from unbraid.models.settings import spec_of


@dataclass(frozen=True)
class DemucsConfig:
    """Everything that makes a Demucs; defaults are those of the published models.

    Attributes:
        stems: names of the parts.
        sample_rate, audio_channels: of mixture and estimates.
        segment_s: length one forward pass is meant for, in seconds.
        width: features after the first layer; `growth` times more in each of the `depth` layers.
        kernel, stride: of the convolutions that change the resolution.
        rewrite: whether each layer has a second convolution, of half-width `context` in the
            decoder, followed by a gate (GLU), or by ReLU where `gated` is False.
        smooth: GELU as the first activation of a layer, else ReLU; residual branches have GELU.
        lstm_layers: layers of an LSTM between encoder and decoder, 0 for none.
        norm_from, norm_groups: first level with GroupNorm, and its groups.
        residual_encoder ... attention_from, init_reference: as in `SpectralConfig`.
        normalize: bring each input to mean 0 and deviation 1, and the output back.
        resample: work at twice the sample rate.
    """

    stems: tuple[str, ...] = ("drums", "bass", "other", "vocals")
    sample_rate: int = 44100
    audio_channels: int = 2
    segment_s: float = 40.0
    width: int = 64
    growth: float = 2
    depth: int = 6
    kernel: int = 8
    stride: int = 4
    rewrite: bool = True
    context: int = 1
    gated: bool = True
    smooth: bool = True
    lstm_layers: int = 0
    norm_from: int = 4
    norm_groups: int = 4
    residual_encoder: bool = True
    residual_decoder: bool = False
    residual_depth: int = 2
    residual_compression: float = 4
    residual_scale: float = 1e-4
    lstm_from: int = 4
    attention_from: int = 4
    normalize: bool = True
    resample: bool = True
    init_reference: float = 0.1

    def __post_init__(self) -> None:
        check_limits(self)
        check_widths(self.widths())

    @property
    def spec(self) -> ModelSpec:
        """Stems, rate, channels and segment."""
        return spec_of(self)

    def widths(self) -> list[int]:
        """Features of each level."""
        return grow(self.width, self.growth, self.depth)

    def norm_groups_of(self, level: int) -> int | None:
        """Groups of the norms of a level, None for no norm."""
        return self.norm_groups if level >= self.norm_from else None

    def residual(self, level: int) -> ResidualShape:
        """The residual branches of a level."""
        return residual_shape(self, level)
