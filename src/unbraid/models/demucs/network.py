"""Demucs, version 3: a U-Net on the waveform alone.

Source: Défossez et al., "Music Source Separation in the Waveform Domain", arXiv:1911.13254, with
the residual branches of arXiv:2111.03600. At default size, for t samples:

    waveform (2, 2t) | 64 x t/2 | 128 x t/8 | 256 x t/32 | 512 x t/128 | 1024 x t/512
                     | 2048 x t/2048 | and back

It works at twice the sample rate, so that aliases of its strides fall where music has nothing.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from unbraid.models.demucs.config import DemucsConfig
from unbraid.models.layers.init import rescale_convolutions
from unbraid.models.layers.recurrent import SpanLSTM
from unbraid.models.layers.resample import SincResampler
from unbraid.models.layers.residual import ResidualBranches, make_norm
from unbraid.models.network import Network
from unbraid.shapes import Estimates, Float, Mixture

__all__ = ["Demucs", "DemucsConfig"]


def _activation(config: DemucsConfig) -> nn.Module:
    """What follows the first convolution of a layer."""
    return nn.GELU() if config.smooth else nn.ReLU()


class Rewrite(nn.Sequential):
    """Convolution, norm, gate: (batch, width, steps) -> the same."""

    def __init__(self, config: DemucsConfig, level: int, width: int, context: int) -> None:
        wide = 2 * width if config.gated else width
        conv = nn.Conv1d(width, wide, 1 + 2 * context, padding=context)
        super().__init__()
        self.conv = conv
        self.norm = make_norm(config.norm_groups_of(level), wide)
        self.gate = nn.GLU(dim=1) if config.gated else nn.ReLU()


class EncoderLayer(nn.Sequential):
    """(batch, outer, steps) -> (batch, width, (steps - kernel) / stride + 1)."""

    def __init__(self, config: DemucsConfig, level: int, outer: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(outer, width, config.kernel, config.stride)
        self.norm = make_norm(config.norm_groups_of(level), width)
        self.activation = _activation(config)
        if config.residual_encoder:
            self.residual = ResidualBranches(width, config.residual(level))
        if config.rewrite:
            self.rewrite = Rewrite(config, level, width, context=0)


class DecoderLayer(nn.Sequential):
    """(batch, width, steps) -> (batch, outer, (steps - 1) * stride + kernel)."""

    def __init__(self, config: DemucsConfig, level: int, outer: int, width: int) -> None:
        super().__init__()
        if config.rewrite:
            self.rewrite = Rewrite(config, level, width, config.context)
        if config.residual_decoder:
            self.residual = ResidualBranches(width, config.residual(level))
        self.conv = nn.ConvTranspose1d(width, outer, config.kernel, config.stride)
        if level > 0:
            self.norm = make_norm(config.norm_groups_of(level), outer)
            self.activation = _activation(config)


class Demucs(Network):
    """A U-Net on the waveform. (b c t) -> (b s c t) for any t >= 1."""

    def __init__(self, config: DemucsConfig) -> None:
        super().__init__()
        self.config = config
        widths, stems = config.widths(), len(config.stems)
        outer = [config.audio_channels, *widths[:-1]]
        self.encoder = nn.ModuleList(
            EncoderLayer(config, level, outer[level], widths[level])
            for level in range(config.depth)
        )
        self.decoder = nn.ModuleList(
            DecoderLayer(config, level, outer[level] * (1 if level else stems), widths[level])
            for level in reversed(range(config.depth))
        )
        self.core: nn.Module = nn.Identity()
        if config.lstm_layers:
            self.core = SpanLSTM(widths[-1], config.lstm_layers, span=None, skip=False)
        self.up, self.down = SincResampler(1, 2), SincResampler(2, 1)
        if config.init_reference:
            rescale_convolutions(self, config.init_reference)

    def valid_samples(self, samples: int) -> int:
        """The next length that goes through all strides without a remainder.

        >>> Demucs(DemucsConfig(width=4)).valid_samples(44100)
        45738
        """
        config = self.config
        steps = 2 * samples if config.resample else samples
        for _ in range(config.depth):
            steps = max(1, math.ceil((steps - config.kernel) / config.stride) + 1)
        for _ in range(config.depth):
            steps = (steps - 1) * config.stride + config.kernel
        return math.ceil(steps / 2) if config.resample else steps

    def forward(self, mixture: Mixture) -> Estimates:
        """Separate songs: (batch, channels, samples) -> (batch, stems, channels, samples)."""
        samples = mixture.shape[-1]
        x, mean, std = loudness_of_the_middle(mixture) if self.config.normalize else (mixture, 0, 1)
        missing = self.valid_samples(samples) - samples
        x = F.pad(x, (missing // 2, missing - missing // 2))
        if self.config.resample:
            x = self.up(x)

        skips = []
        for layer in self.encoder:
            x = layer(x)
            skips.append(x)
        x = self.core(x)
        for layer in self.decoder:
            x = layer(x + trim_to_centre(skips.pop(), x.shape[-1]))

        if self.config.resample:
            x = self.down(x)
        x = trim_to_centre(x * std + mean, samples)
        return rearrange(x, "b (s c) t -> b s c t", s=len(self.config.stems))


def loudness_of_the_middle(
    x: Float[Tensor, "b c t"],
) -> tuple[Float[Tensor, "b c t"], Float[Tensor, "b 1 1"], Float[Tensor, "b 1 1"]]:
    """The signal with the mean of its channels at mean 0 and deviation 1, and these two."""
    middle = x.mean(dim=1, keepdim=True)
    correction = 1 if x.shape[-1] > 1 else 0  # a lone sample deviates by 0
    mean = middle.mean(dim=-1, keepdim=True)
    std = middle.std(dim=-1, correction=correction, keepdim=True)
    return (x - mean) / (1e-5 + std), mean, std


def trim_to_centre(x: Float[Tensor, "b c t"], length: int) -> Float[Tensor, "b c t2"]:
    """The middle `length` steps; an odd one too many goes on the right."""
    left = (x.shape[-1] - length) // 2
    return x[..., left : left + length]
