"""What models on spectrograms share: their settings, the plan of their levels, their ends.

`HybridDemucs` and `SpectrogramDemucs` differ in whether a time branch runs along; how a level is
built, how a spectrogram enters and leaves, and what a setting means is the same for both and
stands here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unbraid.errors import SettingsError
from unbraid.models.band_split import BandSplitDecoderLayer, BandSplitEncoderLayer, check_splits
from unbraid.models.base import ModelSpec
from unbraid.models.branches import LayerShape, SpecDecoderLayer, SpecEncoderLayer
from unbraid.models.heads import ComplexAsChannels, MagnitudeHead
from unbraid.models.layers.embedding import FrequencyEmbedding
from unbraid.models.layers.residual import ResidualShape
from unbraid.models.limits import check_limits, check_widths


@dataclass(frozen=True)
class SpectralConfig:
    """Settings of every model with a spectral branch; defaults are the paper's.

    Attributes:
        stems: names of the parts.
        sample_rate, audio_channels: of mixture and estimates.
        segment_s: length one forward pass is meant for, in seconds.
        width: features after the first layer; `growth` times more in each further one.
        n_fft: STFT size; the hop is a quarter of it.
        depth: number of encoder levels, shared ones included.
        kernel, stride: of the convolutions over frequency; `shared_stride` of those after.
        gate, encoder_context, decoder_context: gated convolutions and their half-widths.
        norm_from, norm_groups: first level with GroupNorm, and its groups.
        embedding_weight: factor of the frequency embedding, 0 for none; `embedding_scale` makes it
            learn faster, `embedding_smooth` starts it smooth.
        residual_encoder, residual_decoder: whether these layers have residual branches;
            `residual_depth` of them (negative: not dilated), `residual_compression` times narrower,
            starting at `residual_scale`, with LSTM from level `lstm_from` and attention from
            `attention_from` on.
        init_reference: spread towards which start weights are drawn, 0 to leave them.
        magnitude: work on magnitudes in place of complex spectrograms; the phase then comes from
        the
            mixture, and `wiener_iterations` refine it in evaluation mode
            (`wiener_training_iterations` in training mode): 0 takes it as it is, a negative number
            likewise but divides by |z| + 1e-8. `wiener_residual` gives what no stem holds a part
            of its own meanwhile.
        band_splits: shares of the frequency rows, growing, at which the outermost
            `band_split_levels` levels are split into bands with weights of their own.
    """

    stems: tuple[str, ...] = ("drums", "bass", "other", "vocals")
    sample_rate: int = 44100
    audio_channels: int = 2
    segment_s: float = 40.0
    width: int = 48
    growth: float = 2
    n_fft: int = 4096
    depth: int = 6
    kernel: int = 8
    stride: int = 4
    shared_stride: int = 2
    gate: bool = True
    encoder_context: int = 0
    decoder_context: int = 1
    norm_from: int = 4
    norm_groups: int = 4
    embedding_weight: float = 0.2
    embedding_scale: float = 10.0
    embedding_smooth: bool = True
    residual_encoder: bool = True
    residual_decoder: bool = False
    residual_depth: int = 2
    residual_compression: float = 4
    residual_scale: float = 1e-3
    lstm_from: int = 4
    attention_from: int = 4
    init_reference: float = 0.1
    magnitude: bool = False
    wiener_iterations: int = 0
    wiener_training_iterations: int = 0
    wiener_residual: bool = False
    band_splits: tuple[float, ...] = ()
    band_split_levels: int = 2

    @property
    def spec(self) -> ModelSpec:
        """Stems, rate, channels and segment."""
        return ModelSpec(
            stems=self.stems,
            sample_rate=self.sample_rate,
            channels=self.audio_channels,
            segment_samples=int(self.sample_rate * self.segment_s),
        )

    @property
    def outer_levels(self) -> int:
        """Levels before the one that takes all frequency rows left to a single one."""
        rows, levels = self.n_fft // 2, 0
        while rows > self.kernel:
            rows, levels = rows // self.stride, levels + 1
        return levels

    @property
    def rows_at_meeting(self) -> int:
        """Frequency rows left at that level."""
        return self.n_fft // 2 // int(self.stride**self.outer_levels)

    @property
    def split_levels(self) -> int:
        """How many of the outermost levels are split into bands."""
        return self.band_split_levels if self.band_splits else 0

    @property
    def _filters(self) -> bool:
        return max(self.wiener_iterations, self.wiener_training_iterations) > 0

    def check(self) -> None:
        """Raise `SettingsError` if the layers would not fit into each other."""
        check_limits(self)
        if self.stride < 2:
            raise SettingsError(f"the stride over frequency is 2 or more, got {self.stride}")
        check_widths(self.spec_widths())
        rows = self.n_fft // 2
        if (
            self.n_fft % 4
            or rows % self.stride**self.outer_levels
            or self.depth <= self.outer_levels
        ):
            raise SettingsError(
                f"n_fft {self.n_fft} with stride {self.stride} and depth {self.depth} does not "
                f"close: {rows} frequency rows take {self.outer_levels + 1} levels to become one"
            )
        if self.magnitude and self.audio_channels > 2 and self._filters:
            raise SettingsError(
                f"Wiener filtering takes 1 or 2 audio channels, got {self.audio_channels}; "
                "without it (wiener_iterations 0) any number will do"
            )
        if self.split_levels > min(self.norm_from, self.outer_levels):
            raise SettingsError(
                f"levels split into bands have no norm and come before the branches meet: at most "
                f"{min(self.norm_from, self.outer_levels)} here, got {self.split_levels}"
            )
        for level in range(self.split_levels):
            check_splits(rows // self.stride**level, self.band_splits, self.kernel, self.stride)

    def spec_widths(self) -> list[int]:
        """Features of the spectral branch and the shared core, level by level."""
        return grow(self.width, self.growth, self.depth)

    def level(
        self, level: int, ends: tuple[int, int], width: int, kernel: int, stride: int
    ) -> Level:
        """One level, whose outer ends have these numbers of channels (encoder, decoder)."""
        residual = ResidualShape(
            depth=abs(self.residual_depth),
            compression=self.residual_compression,
            scale_init=self.residual_scale,
            lstm=level >= self.lstm_from,
            attention=level >= self.attention_from,
            dilated=self.residual_depth > 0,
        )
        groups = self.norm_groups if level >= self.norm_from else None

        def shape(outer: int, context: int, has_residual: bool) -> LayerShape:
            kept = residual if has_residual else None
            return LayerShape(outer, width, kernel, stride, groups, self.gate, context, kept)

        return Level(
            encoder=shape(ends[0], self.encoder_context, self.residual_encoder),
            decoder=shape(ends[1], self.decoder_context, self.residual_decoder),
        )

    def spec_levels(self, widths: list[int]) -> list[Level]:
        """Levels of the spectral branch, the last of which leaves one frequency row."""
        parts = self.audio_channels * self.head_class().parts
        levels = []
        for level in range(self.outer_levels + 1):
            last = level == self.outer_levels
            kernel = self.rows_at_meeting if last else self.kernel
            ends = (widths[level - 1],) * 2 if level else (parts, parts * len(self.stems))
            shapes = self.level(level, ends, widths[level], kernel, self.stride)
            levels.append(shapes.unpadded() if last else shapes)
        return levels

    def shared_levels(self, widths: list[int]) -> list[Level]:
        """Levels of the core, which stride over time only."""
        stride = self.shared_stride
        return [
            self.level(level, (widths[level - 1],) * 2, widths[level], 2 * stride, stride)
            for level in range(self.outer_levels + 1, self.depth)
        ]

    def head_class(self) -> type[ComplexAsChannels] | type[MagnitudeHead]:
        """How spectrograms enter and leave."""
        return MagnitudeHead if self.magnitude else ComplexAsChannels

    def make_head(self) -> ComplexAsChannels | MagnitudeHead:
        """The head itself."""
        if not self.magnitude:
            return ComplexAsChannels()
        return MagnitudeHead(
            self.wiener_iterations, self.wiener_training_iterations, self.wiener_residual
        )

    def make_spec_encoder(self, levels: Iterable[Level]) -> nn.ModuleList:
        """The outer layers of the spectral branch, split into bands where the config says so."""
        layers: list[nn.Module] = []
        for level, shapes in enumerate(levels):
            embedding = self._embedding() if level == 0 else None
            if level < self.split_levels:
                layers.append(BandSplitEncoderLayer(shapes.encoder, self.band_splits, embedding))
            else:
                layers.append(SpecEncoderLayer(shapes.encoder, embedding))
        return nn.ModuleList(layers)

    def make_spec_decoder(self, levels: Iterable[Level]) -> nn.ModuleList:
        """Their mirror image, innermost first."""
        layers: list[nn.Module] = []
        for level, shapes in enumerate(levels):
            if level < self.split_levels:
                layers.append(BandSplitDecoderLayer(shapes.decoder, self.band_splits, level == 0))
            else:
                layers.append(SpecDecoderLayer(shapes.decoder, outermost=level == 0))
        return nn.ModuleList(reversed(layers))

    def _embedding(self) -> FrequencyEmbedding | None:
        if not self.embedding_weight:
            return None
        return FrequencyEmbedding(
            rows=self.n_fft // 2 // self.stride,
            width=self.width,
            weight=self.embedding_weight,
            scale=self.embedding_scale,
            smooth=self.embedding_smooth,
        )


@dataclass(frozen=True)
class Level:
    """One level of a U-Net: its encoder and its decoder layer."""

    encoder: LayerShape
    decoder: LayerShape

    def unpadded(self) -> Level:
        """The same without padding."""
        return Level(self.encoder.unpadded(), self.decoder.unpadded())


def grow(width: int, growth: float, levels: int) -> list[int]:
    """Features level by level: each `growth` times the one before, rounded down."""
    widths = [width]
    while len(widths) < levels:
        widths.append(int(growth * widths[-1]))
    return widths


def run_core(encoder: nn.ModuleList, decoder: nn.ModuleList, x: Tensor) -> Tensor:
    """The U-Net over time that all branches share: (batch, width, frames) -> the same shape."""
    skips, lengths = [], []
    for layer in encoder:
        lengths.append(x.shape[-1])
        x = layer(x)
        skips.append(x)
    x = torch.zeros_like(x)  # the innermost skip carries all there is
    for layer in decoder:
        x = layer(x, skips.pop(), samples=lengths.pop())
    return x


def standardize(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Zero mean, unit deviation per batch item; also the mean and the deviation to undo it with."""
    axes = tuple(range(1, x.ndim))
    correction = 1 if x[0].numel() > 1 else 0  # a lone number deviates by 0
    mean, std = x.mean(axes, keepdim=True), x.std(axes, correction=correction, keepdim=True)
    return (x - mean) / (1e-5 + std), mean, std
