"""Hybrid Demucs: a U-Net on the waveform and one on the spectrogram, with a shared core.

Source: Défossez, "Hybrid Spectrogram and Waveform Source Separation", MDX workshop 2021,
arXiv:2111.03600. At default size, for t samples and n = ceil(t / 1024):

    spectrogram (4, 2048, n)              waveform (2, t)
        spec_encoder  48 x 512                time_encoder  48 x t/4
                      96 x 128                              96 x t/16
                     192 x 32                              192 x t/64
                     384 x 8                               384 x t/256
                          \\                                /
                           meeting            768 x n
                           shared_encoder    1536 x n/2
                           shared_decoder     768 x n
                           parting           /        \\
        spec_decoder, mirrored                time_decoder, mirrored
    spectrograms of the stems ── inverse STFT ── + ── waveforms of the stems
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn

from unbraid.errors import SettingsError
from unbraid.models.base import ModelSpec
from unbraid.models.branches import (
    LayerShape,
    MeetingEncoder,
    PartingDecoder,
    SpecDecoderLayer,
    SpecEncoderLayer,
    TimeDecoderLayer,
    TimeEncoderLayer,
)
from unbraid.models.heads import ComplexAsChannels
from unbraid.models.layers.embedding import FrequencyEmbedding
from unbraid.models.layers.init import rescale_convolutions
from unbraid.models.layers.residual import ResidualShape
from unbraid.models.stft import AlignedSTFT
from unbraid.shapes import Estimates, Mixture


@dataclass(frozen=True)
class HybridDemucsConfig:
    """Everything that makes a Hybrid Demucs; defaults are the paper's.

    Attributes:
        stems: names of the parts.
        sample_rate, audio_channels: of mixture and estimates.
        segment_s: length one forward pass is meant for, in seconds.
        width, time_width: features after the first layer of the spectral and the time branch
            (None: the same); `growth` times more in each further layer.
        n_fft: STFT size; its hop, n_fft / 4, must be the total stride of the frequency levels.
        depth: number of encoder levels, shared ones included.
        kernel, stride: of the convolutions before the branches meet; `shared_stride` after.
        gate, encoder_context, decoder_context: gated convolutions and their half-widths.
        norm_from, norm_groups: first level with GroupNorm, and its groups.
        embedding_weight: factor of the frequency embedding, 0 for none; `embedding_scale` makes it
            learn faster, `embedding_smooth` starts it smooth.
        residual_encoder, residual_decoder: whether these layers have residual branches;
            `residual_depth` of them, `residual_compression` times narrower, starting at
            `residual_scale`, with LSTM from level `lstm_from` and attention from `attention_from` on.
        init_reference: spread towards which start weights are drawn, 0 to leave them.
    """

    stems: tuple[str, ...] = ("drums", "bass", "other", "vocals")
    sample_rate: int = 44100
    audio_channels: int = 2
    segment_s: float = 40.0
    width: int = 48
    time_width: int | None = None
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

    @property
    def outer_levels(self) -> int:
        """Levels on which the two branches run apart."""
        rows, levels = self.n_fft // 2, 0
        while rows > self.kernel:
            rows, levels = rows // self.stride, levels + 1
        return levels

    @property
    def rows_at_meeting(self) -> int:
        """Frequency rows left where the branches meet."""
        return self.n_fft // 2 // self.stride**self.outer_levels

    def spec_widths(self) -> list[int]:
        """Features of the spectral branch and the shared core, level by level."""
        return _grow(self.width, self.growth, self.depth)

    def time_widths(self) -> list[int]:
        """Features of the time branch, level by level."""
        return _grow(self.time_width or self.width, self.growth, self.depth)

    def check(self) -> None:
        """Raise `SettingsError` if the branches would not meet."""
        hop = self.n_fft // 4
        reached = self.stride ** (self.outer_levels + 1)
        if reached != hop or self.depth <= self.outer_levels:
            raise SettingsError(
                f"n_fft {self.n_fft} with stride {self.stride} and depth {self.depth} does not close: "
                f"{self.outer_levels + 1} frequency levels reduce time by {reached}, the STFT by "
                f"{hop}; n_fft 4096 with depth 6 and 1024 with depth 5 do"
            )


def _grow(width: int, growth: float, levels: int) -> list[int]:
    widths = [width]
    while len(widths) < levels:
        widths.append(int(growth * widths[-1]))
    return widths


class HybridDemucs(nn.Module):
    """Two branches, one meeting, two ways out. (b c t) -> (b s c t) for any t >= 1."""

    def __init__(self, config: HybridDemucsConfig) -> None:
        super().__init__()
        config.check()
        self.config = config
        self.stft = AlignedSTFT(config.n_fft)
        self.head = ComplexAsChannels()
        spec, time, shared = _plan(config, self.head.parts)
        *spec_outer, spec_meeting = spec
        *time_outer, time_meeting = time

        self.spec_encoder = nn.ModuleList(
            SpecEncoderLayer(shape.encoder, _embedding(config) if level == 0 else None)
            for level, shape in enumerate(spec_outer)
        )
        self.time_encoder = nn.ModuleList(TimeEncoderLayer(shape.encoder) for shape in time_outer)
        self.meeting = MeetingEncoder(spec_meeting.encoder, time_meeting.encoder)
        self.shared_encoder = nn.ModuleList(TimeEncoderLayer(shape.encoder) for shape in shared)

        self.shared_decoder = nn.ModuleList(
            TimeDecoderLayer(shape.decoder) for shape in reversed(shared)
        )
        self.parting = PartingDecoder(spec_meeting.decoder, time_meeting.decoder)
        self.spec_decoder = nn.ModuleList(
            SpecDecoderLayer(shape.decoder, outermost=shape is spec_outer[0])
            for shape in reversed(spec_outer)
        )
        self.time_decoder = nn.ModuleList(
            TimeDecoderLayer(shape.decoder, outermost=shape is time_outer[0])
            for shape in reversed(time_outer)
        )
        if config.init_reference:
            rescale_convolutions(self, config.init_reference)

    @property
    def spec(self) -> ModelSpec:
        """Stems, rate, channels and segment; any length is fine."""
        config = self.config
        return ModelSpec(
            stems=config.stems,
            sample_rate=config.sample_rate,
            channels=config.audio_channels,
            segment_samples=int(config.sample_rate * config.segment_s),
        )

    def valid_samples(self, samples: int) -> int:
        """Any length will do."""
        return samples

    def forward(self, mixture: Mixture) -> Estimates:
        """Separate songs: (batch, channels, samples) -> (batch, stems, channels, samples)."""
        spectrum = self.stft(mixture)
        x, x_mean, x_std = standardize(self.head.enter(spectrum))
        t, t_mean, t_std = standardize(mixture)

        x_skips, t_skips, t_lengths = [], [], []
        for spec_layer, time_layer in zip(self.spec_encoder, self.time_encoder, strict=True):
            t_lengths.append(t.shape[-1])
            x, t = spec_layer(x), time_layer(t)
            x_skips.append(x)
            t_skips.append(t)

        met = self.meeting(x, t)
        core = self.run_core(met.squeeze(2))
        x, t = self.parting(core.unsqueeze(2), met, samples=t.shape[-1])

        for spec_layer, time_layer in zip(self.spec_decoder, self.time_decoder, strict=True):
            x = spec_layer(x, x_skips.pop())
            t = time_layer(t, t_skips.pop(), samples=t_lengths.pop())

        x, t = self._by_stem(x), self._by_stem(t)
        spectra = self.head.leave(x * x_std[:, None] + x_mean[:, None], spectrum)
        waves = t * t_std[:, None] + t_mean[:, None]
        return self.stft.inverse(spectra, mixture.shape[-1]) + waves  # type: ignore[no-any-return]

    def run_core(self, x: Tensor) -> Tensor:
        """The shared U-Net inside: (batch, width, frames) -> the same shape."""
        skips, lengths = [], []
        for layer in self.shared_encoder:
            lengths.append(x.shape[-1])
            x = layer(x)
            skips.append(x)
        x = torch.zeros_like(x)  # the innermost skip carries all there is
        for layer in self.shared_decoder:
            x = layer(x, skips.pop(), samples=lengths.pop())
        return x

    def _by_stem(self, x: Tensor) -> Tensor:
        return rearrange(x, "b (s c) ... -> b s c ...", s=len(self.config.stems))


def standardize(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Zero mean, unit deviation per batch item; also the mean and the deviation to undo it with."""
    axes = tuple(range(1, x.ndim))
    mean, std = x.mean(axes, keepdim=True), x.std(axes, keepdim=True)
    return (x - mean) / (1e-5 + std), mean, std


@dataclass(frozen=True)
class _Level:
    encoder: LayerShape
    decoder: LayerShape


def _plan(
    config: HybridDemucsConfig, parts: int
) -> tuple[list[_Level], list[_Level], list[_Level]]:
    """Levels of the spectral branch and of the time branch, both down to the meeting, and the core."""
    outer = config.outer_levels
    spec_widths, time_widths = config.spec_widths(), config.time_widths()
    met = max(spec_widths[outer], time_widths[outer])
    spec_widths = spec_widths[:outer] + _grow(met, config.growth, config.depth - outer)
    time_widths = [*time_widths[:outer], met]
    channels, stems = config.audio_channels, len(config.stems)

    spec, time, shared = [], [], []
    for level in range(outer + 1):
        kernel = config.rows_at_meeting if level == outer else config.kernel
        below = spec_widths[level - 1] if level else None
        ends = (channels * parts, channels * parts * stems) if below is None else (below, below)
        spec.append(_level(config, level, ends, spec_widths[level], kernel, config.stride))
        below = time_widths[level - 1] if level else None
        ends = (channels, channels * stems) if below is None else (below, below)
        time.append(_level(config, level, ends, time_widths[level], config.kernel, config.stride))
    for level in range(outer + 1, config.depth):
        ends = (spec_widths[level - 1], spec_widths[level - 1])
        stride = config.shared_stride
        shared.append(_level(config, level, ends, spec_widths[level], 2 * stride, stride))
    return spec, time, shared


def _level(
    config: HybridDemucsConfig,
    level: int,
    ends: tuple[int, int],
    width: int,
    kernel: int,
    stride: int,
) -> _Level:
    residual = ResidualShape(
        depth=config.residual_depth,
        compression=config.residual_compression,
        scale_init=config.residual_scale,
        lstm=level >= config.lstm_from,
        attention=level >= config.attention_from,
    )
    groups = config.norm_groups if level >= config.norm_from else None

    def shape(outer: int, context: int, has_residual: bool) -> LayerShape:
        kept = residual if has_residual else None
        return LayerShape(outer, width, kernel, stride, groups, config.gate, context, kept)

    return _Level(
        encoder=shape(ends[0], config.encoder_context, config.residual_encoder),
        decoder=shape(ends[1], config.decoder_context, config.residual_decoder),
    )


def _embedding(config: HybridDemucsConfig) -> FrequencyEmbedding | None:
    if not config.embedding_weight:
        return None
    return FrequencyEmbedding(
        rows=config.n_fft // 2 // config.stride,
        width=config.width,
        weight=config.embedding_weight,
        scale=config.embedding_scale,
        smooth=config.embedding_smooth,
    )
