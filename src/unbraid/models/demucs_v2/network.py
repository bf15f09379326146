"""Demucs v1 and v2: a U-Net on the waveform with an LSTM in the middle.

    mixture (2, t), v2: at twice the rate
      │
      ├─ encoder: conv 8, stride 4 · ReLU · conv 1 · GLU  ──────── skip ─┐   64 features
      │    ├─ encoder ───────────────────────────────────── skip ─┐      │  128
      │    │   ┊  six levels                                      │      │  ...
      │    │   └─ LSTM both ways, 2 layers · linear               │      │ 2048
      │    │   ┊                                                  │      │
      │    └─ decoder ◄── add ────────────────────────────────────┘      │
      └─ decoder: conv 3 · GLU · transposed conv 8, stride 4 · ReLU ◄────┘
      │
    estimates (4, 2, t)

The decoder's convolutions have no padding, so the output is shorter than the input (5,460 samples
at default size), and the input is padded by that much.
Source: Défossez et al., "Music Source Separation in the Waveform Domain", arXiv:1911.13254.
"""

from __future__ import annotations

import math

from einops import rearrange
from torch import Tensor, nn

from unbraid.models.demucs_v2.config import DemucsV2Config
from unbraid.models.layers.init import rescale_convolutions
from unbraid.models.layers.lengths import crop_centre, pad_centre
from unbraid.models.layers.recurrent import SpanLSTM
from unbraid.models.layers.resample import SincResampler
from unbraid.models.system import System
from unbraid.shapes import Estimates, Float, Mixture


class EncoderLayer(nn.Sequential):
    """(batch, outer, steps) -> (batch, width, (steps - kernel) / stride + 1)."""

    def __init__(self, config: DemucsV2Config, outer: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(outer, width, config.kernel, config.stride)
        self.activation = nn.ReLU()
        self.rewrite = nn.Conv1d(width, (1 + config.gated) * width, 1)
        self.gate = nn.GLU(dim=1) if config.gated else nn.ReLU()


class DecoderLayer(nn.Sequential):
    """(batch, width, steps) -> (batch, outer, (steps - context) * stride + kernel)."""

    def __init__(self, config: DemucsV2Config, width: int, outer: int, outermost: bool) -> None:
        super().__init__()
        self.rewrite = nn.Conv1d(width, (1 + config.gated) * width, config.context)
        self.gate = nn.GLU(dim=1) if config.gated else nn.ReLU()
        self.conv = nn.ConvTranspose1d(width, outer, config.kernel, config.stride)
        if not outermost:
            self.activation = nn.ReLU()


class DemucsV2(System):
    """A U-Net on the waveform. (b c t) -> (b s c t) for any t >= 1."""

    config: DemucsV2Config

    def __init__(self, config: DemucsV2Config) -> None:
        super().__init__()
        self.config = config
        inside, channels = config.widths, config.audio_channels
        outside = [channels, *inside[:-1]]
        self.encoder = nn.ModuleList(
            EncoderLayer(config, outer, width) for outer, width in zip(outside, inside, strict=True)
        )
        outside[0] = channels * len(config.stems)
        self.decoder = nn.ModuleList(
            DecoderLayer(config, inside[level], outside[level], outermost=level == 0)
            for level in reversed(range(config.depth))
        )
        self.core: nn.Module = nn.Identity()
        if config.lstm_layers:
            self.core = SpanLSTM(inside[-1], config.lstm_layers, span=None, skip=False)
        self.up, self.down = SincResampler(1, 2), SincResampler(2, 1)
        if config.init_reference:
            rescale_convolutions(self, config.init_reference)

    def valid_samples(self, samples: int) -> int:
        """The next length that `network` can give back whole."""
        return self._output_samples(self.input_samples(samples))

    def input_samples(self, samples: int) -> int:
        """What `network` takes to give at least `samples` back.

        >>> DemucsV2(DemucsV2Config(width=1)).input_samples(44100)
        49834
        """
        config = self.config
        steps = 2 * samples if config.resample else samples
        for _ in range(config.depth):
            steps = max(1, math.ceil((steps - config.kernel) / config.stride) + 1)
            steps += config.context - 1
        for _ in range(config.depth):
            steps = (steps - 1) * config.stride + config.kernel
        return math.ceil(steps / 2) if config.resample else steps

    def _output_samples(self, samples: int) -> int:
        config = self.config
        steps = 2 * samples if config.resample else samples
        for _ in range(config.depth):
            steps = (steps - config.kernel) // config.stride + 1
        for _ in range(config.depth):
            steps = (steps - config.context) * config.stride + config.kernel
        return steps // 2 if config.resample else steps

    def forward(self, mixture: Mixture) -> Estimates:
        """Separate songs: (batch, channels, samples) -> (batch, stems, channels, samples)."""
        samples = mixture.shape[-1]
        estimates = self.network(pad_centre(mixture, self.input_samples(samples)))
        return crop_centre(estimates, samples)

    def network(self, mixture: Float[Tensor, "b c t"]) -> Float[Tensor, "b s c t2"]:
        """The figure: `input_samples(t)` samples in, at least t out, centred alike."""
        config = self.config
        middle = mixture.mean(1, keepdim=True)
        mean = middle.mean(-1, keepdim=True) if config.normalize else 0.0
        std = middle.std(-1, keepdim=True) if config.normalize else 1.0
        x = (mixture - mean) / (config.epsilon + std)
        x = self.up(x) if config.resample else x

        skips = []
        for layer in self.encoder:
            x = layer(x)
            skips.append(x)
        x = self.core(x)
        for layer in self.decoder:
            x = layer(x + crop_centre(skips.pop(), x.shape[-1]))

        x = self.down(x) if config.resample else x
        estimates: Tensor = x * std + mean
        return rearrange(estimates, "b (s c) t -> b s c t", s=len(config.stems))
