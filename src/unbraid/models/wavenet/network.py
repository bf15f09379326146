"""The WaveNet of Lluís et al.: dilated convolutions on the waveform, looking both ways.

    mixture ── conv 3 ── block, dilation 1 ── block, 2 ── ... block, 512 ── (4 times) 40 blocks
                              │ skip              │ skip          │ skip
                              └────────── + ──────┴────── + ──────┘
                                          │
             ReLU · conv 3 (2048) · ReLU · conv 3 (256) · conv 1 ── vocals, drums, bass
                                                          other = mixture - their sum

    block: h = conv 3, dilated ;  g = tanh(half of h) · sigmoid(other half) ;  conv 1 gives both
           what is added to the stream and the skip

Source: Lluís, Pons, Serra, "End-to-end music source separation: is it possible in the waveform
domain?", Interspeech 2019, arXiv:1810.12187.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from unbraid.models.layers.lengths import crop_centre, pad_centre
from unbraid.models.system import System
from unbraid.models.wavenet.config import WaveNetConfig
from unbraid.shapes import Estimates, Float, Mixture


class Block(nn.Module):
    """(b c t) -> the stream after it, (b c t), and its skip (b c' t)."""

    def __init__(self, config: WaveNetConfig, dilation: int) -> None:
        super().__init__()
        width, reach = config.width, config.kernel // 2 * dilation
        self.width = width
        self.dilated = nn.Conv1d(
            width, 2 * width, config.kernel, padding=reach, dilation=dilation, bias=False
        )
        self.mix = nn.Conv1d(width, width + config.skip_width, 1, bias=False)

    def forward(self, x: Float[Tensor, "b c t"]) -> tuple[Tensor, Tensor]:
        """Both outputs."""
        value, gate = self.dilated(x).chunk(2, dim=1)
        y = self.mix(value.tanh() * gate.sigmoid())
        return x + y[:, : self.width], y[:, self.width :]


class WaveNet(System):
    """Dilated convolutions on the waveform. (b c t) -> (b s c t) for any t >= 1."""

    config: WaveNetConfig

    def __init__(self, config: WaveNetConfig) -> None:
        super().__init__()
        self.config = config
        channels, kernel = config.audio_channels, config.final_kernel
        self.initial = nn.Conv1d(
            channels, config.width, config.kernel, padding=config.kernel // 2, bias=False
        )
        self.blocks = nn.ModuleList(Block(config, dilation) for dilation in config.dilations)
        first, second = config.final_widths
        self.final1 = nn.Conv1d(config.skip_width, first, kernel, padding=kernel // 2, bias=False)
        self.final2 = nn.Conv1d(first, second, kernel, padding=kernel // 2, bias=False)
        self.out = nn.Conv1d(second, (len(config.stems) - 1) * channels, 1)

    def forward(self, mixture: Mixture) -> Estimates:
        """Separate songs: (batch, channels, samples) -> (batch, stems, channels, samples)."""
        samples = mixture.shape[-1]
        padded = pad_centre(mixture, samples + 2 * self.config.reach)
        found = self.network(padded, samples + 2 * self._margin)
        found = crop_centre(found, samples)
        rest = mixture[:, None] - found.sum(dim=1, keepdim=True)
        return torch.cat([found, rest], dim=1)

    @property
    def _margin(self) -> int:
        """Samples at either end that the final convolutions fill up with zeros."""
        return max(1, self.config.final_kernel // 2)

    def network(self, mixture: Float[Tensor, "b c t"], samples: int) -> Float[Tensor, "b s c t2"]:
        """The figure: the middle `samples` samples of each stem except the last."""
        x = self.initial(mixture)
        total = torch.zeros((), device=mixture.device)
        for block in self.blocks:
            x, skip = block(x)
            total = total + crop_centre(skip, samples)
        y: Tensor = self.out(self.final2(self.final1(total.relu()).relu()))
        return rearrange(y, "b (s c) t -> b s c t", c=mixture.shape[1])
