"""All settings of an HT Demucs, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, replace

from unbraid.errors import SegmentTooLong, SettingsError
from unbraid.models.base import ModelSpec
from unbraid.models.checks import check_divides, check_fields
from unbraid.models.layers.levels import LayerShape, Level, ResidualShape, check_norms, grow
from unbraid.models.settings import spec_of

_RANGES: dict[str, tuple[float, float]] = {
    "time_width": (1, 16_384),
    "growth": (0.1, 16),
    "depth": (1, 16),
    "kernel": (1, 1024),
    "stride": (2, 1024),
    "encoder_context": (0, 64),
    "decoder_context": (0, 64),
    "norm_from": (0, 1_000_000),
    "norm_groups": (1, 16_384),
    "embedding_weight": (-1e6, 1e6),
    "embedding_scale": (-1e6, 1e6),
    "residual_depth": (-16, 16),
    "residual_compression": (1e-3, 16_384),
    "residual_scale": (-1e6, 1e6),
    "init_reference": (0, 1e6),
    "bottleneck": (0, 16_384),
    "transformer_layers": (0, 64),
    "hidden_scale": (1e-3, 64),
    "position_weight": (-1e6, 1e6),
    "max_positions": (1, 10_000_000),
    "max_period": (1, 1e9),
    "norm_in_groups": (0, 16_384),
    "norm_inner_groups": (0, 16_384),
}


@dataclass(frozen=True)
class HTDemucsConfig:
    """All settings of an HT Demucs; defaults are those of the published four-stem model.

    Attributes:
        stems: names of the parts.
        sample_rate, audio_channels: of mixture and estimates.
        segment_s: length of the excerpts it was trained on, in seconds.
        pad_to_segment: extend shorter inputs to `segment_s` by zeros, outside of training; longer
            ones are an error then.
        width, time_width: features after the first layer of the spectral and the time branch (None:
            as the spectral one); `growth` times more in each of the `depth` layers.
        n_fft: STFT size in samples; the hop is a quarter of it.
        kernel, stride: of the convolutions that change the resolution.
        gate, encoder_context, decoder_context: gated convolutions and their half-widths.
        norm_from, norm_groups: first level with GroupNorm, and its groups.
        embedding_weight, embedding_scale, embedding_smooth: the frequency embedding; weight 0 for
            none.
        residual_encoder, residual_decoder: which layers have residual branches: `residual_depth` of
            them (negative: not dilated), `residual_compression` times narrower, starting at
            `residual_scale`.
        init_reference: spread towards which the convolutions of the branches start; 0: as drawn.
        bottleneck: features of the transformer; 0 for those of the innermost layer.
        transformer_layers, heads, hidden_scale, dropout: of the transformer.
        cross_first: whether the first layer looks across the branches; they take turns.
        position: embedding of time steps, "sin", "cape" (sines, centred) or "scaled" (learned, for
            at most `max_positions` steps); `max_period` of the sines, `position_weight` of both
            embeddings.
        norm_in: LayerNorm of the tokens before the first layer; without it, GroupNorm of
            `norm_in_groups` groups (0: none).
        norm_first, norm_out, norm_inner_groups: norms before attention and feed-forward (else
            after), a GroupNorm after each layer, and the number of groups of inner GroupNorms (0:
            LayerNorm).
        layer_scale: learned factors for each feature of what a layer adds.
        gelu: activation of the transformer; ReLU if False.
    """

    stems: tuple[str, ...] = ("drums", "bass", "other", "vocals")
    sample_rate: int = 44100
    audio_channels: int = 2
    segment_s: float = 7.8
    pad_to_segment: bool = True
    width: int = 48
    time_width: int | None = None
    growth: float = 2
    n_fft: int = 4096
    depth: int = 4
    kernel: int = 8
    stride: int = 4
    gate: bool = True
    encoder_context: int = 0
    decoder_context: int = 1
    norm_from: int = 4
    norm_groups: int = 4
    embedding_weight: float = 0.2
    embedding_scale: float = 10.0
    embedding_smooth: bool = True
    residual_encoder: bool = True
    residual_decoder: bool = True
    residual_depth: int = 2
    residual_compression: float = 8
    residual_scale: float = 1e-3
    init_reference: float = 0.1
    bottleneck: int = 512
    transformer_layers: int = 5
    heads: int = 8
    hidden_scale: float = 4.0
    dropout: float = 0.0
    cross_first: bool = False
    position: str = "sin"
    position_weight: float = 1.0
    max_positions: int = 10_000
    max_period: float = 10_000.0
    norm_in: bool = True
    norm_in_groups: int = 0
    norm_first: bool = True
    norm_out: bool = True
    norm_inner_groups: int = 0
    layer_scale: bool = True
    gelu: bool = True

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, {"position": ("sin", "scaled", "cape")})
        rows = self.n_fft // 2
        for _ in range(self.depth):
            if rows <= self.kernel or rows % self.stride:
                raise SettingsError(
                    f"n_fft {self.n_fft} has {self.n_fft // 2} frequency rows; they must stay more "
                    f"than the kernel and divide by the stride on each of {self.depth} levels, got "
                    f"kernel {self.kernel} and stride {self.stride}"
                )
            rows //= self.stride
        widths = self.spec_widths + self.time_widths
        narrowest = min(widths) / (self.residual_compression if self.residual_depth else 1)
        if narrowest < 1 or max(widths) > 1 << 20:
            raise SettingsError(
                f"layers and their residual branches have 1 to {1 << 20} features; width "
                f"{self.width}, growth {self.growth} and residual_compression "
                f"{self.residual_compression} do not give that"
            )
        check_norms(level for branch in (self.spec_levels, self.time_levels) for level in branch)
        if self.transformer_layers:
            if not self.bottleneck and self.spec_widths[-1] != self.time_widths[-1]:
                raise SettingsError(
                    "without bottleneck both branches end with as many features, got "
                    f"{self.spec_widths[-1]} and {self.time_widths[-1]}"
                )
            check_divides("heads", self.heads, "the width of the transformer", self.inner_width)
            check_divides("4", 4, "the width of the transformer", self.inner_width)
            for groups in (self.norm_in_groups, self.norm_inner_groups):
                check_divides("norm groups", groups or 1, "its width", self.inner_width)

    @property
    def spec(self) -> ModelSpec:
        """Stems, rate, channels and segment."""
        spec = spec_of(self)
        return replace(spec, longest_samples=spec.segment_samples) if self.pad_to_segment else spec

    def valid_samples(self, samples: int, training: bool = False) -> int:
        """The segment it was trained on, if it pads to it; else any length.

        Raises:
            SegmentTooLong: if `samples` is more than that.
        """
        longest = None if training else self.spec.longest_samples
        if longest is None:
            return samples
        if samples > longest:
            rate = self.sample_rate
            raise SegmentTooLong(
                f"HT Demucs was trained on {longest / rate:g} s and takes no more at once, got "
                f"{samples / rate:g} s; separate longer songs in segments (unbraid.apply_model)"
            )
        return longest

    @property
    def inner_width(self) -> int:
        """Features of the transformer."""
        return self.bottleneck or self.spec_widths[-1]

    @property
    def spec_widths(self) -> list[int]:
        """Features of the spectral branch, level by level."""
        return grow(self.width, self.growth, self.depth)

    @property
    def time_widths(self) -> list[int]:
        """Features of the time branch, level by level."""
        return grow(self.time_width or self.width, self.growth, self.depth)

    @property
    def spec_levels(self) -> list[Level]:
        """Levels of the spectral branch: real and imaginary parts of each channel enter."""
        return self._levels(self.spec_widths, 2 * self.audio_channels)

    @property
    def time_levels(self) -> list[Level]:
        """Levels of the time branch."""
        return self._levels(self.time_widths, self.audio_channels)

    def _levels(self, widths: list[int], parts: int) -> list[Level]:
        return [
            Level(
                encoder=self._shape(
                    level, widths[level - 1] if level else parts, widths[level], decodes=False
                ),
                decoder=self._shape(
                    level,
                    widths[level - 1] if level else parts * len(self.stems),
                    widths[level],
                    decodes=True,
                ),
            )
            for level in range(self.depth)
        ]

    def _shape(self, level: int, outer: int, width: int, decodes: bool) -> LayerShape:
        residual = ResidualShape(
            depth=abs(self.residual_depth),
            compression=self.residual_compression,
            scale_init=self.residual_scale,
            dilated=self.residual_depth > 0,
        )
        has_residual = self.residual_decoder if decodes else self.residual_encoder
        return LayerShape(
            outer=outer,
            width=width,
            kernel=self.kernel,
            stride=self.stride,
            norm_groups=self.norm_groups if level >= self.norm_from else None,
            gate=self.gate,
            context=self.decoder_context if decodes else self.encoder_context,
            residual=residual if has_residual else None,
        )
