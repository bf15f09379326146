"""Wave-U-Net: a U-Net on the waveform that halves the rate by leaving out every other sample.

    mixture ─────────────────────────────────────────────────── crop ──┐
      │ conv 15 ─────────────────────────────────── crop ──┐           │
      ▼ every 2nd sample                                   ▼           ▼
        │ conv 15 ──────────────── crop ──┐          ► concat · conv 5 ► concat · conv 1 per stem
        ▼ every 2nd                       ▼          │ upsample            │
          ┊ 12 levels              concat · conv 5 ──┘               tanh: stems but the last
          conv 15 ────── upsample ──┘                                 last = mixture - others

With `context` no convolution is padded: 147,443 samples in, 16,389 out at default size.
Source: Stoller, Ewert, Dixon, "Wave-U-Net", ISMIR 2018, arXiv:1806.03185.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unbraid.models.layers.lengths import crop_centre, next_multiple, pad_centre, pad_end
from unbraid.models.system import System
from unbraid.models.wave_u_net.config import WaveUNetConfig
from unbraid.shapes import Estimates, Float, Mixture


class Upsample(nn.Module):
    """(b c n) -> (b c 2n - 1), or 2n without `context`: a new step between two neighbours."""

    def __init__(self, width: int, learned: bool, context: bool) -> None:
        super().__init__()
        self.context = context
        self.weight = nn.Parameter(torch.zeros(width)) if learned else None

    def forward(self, x: Float[Tensor, "b c n"]) -> Float[Tensor, "b c n2"]:
        """Insert the weighted mean of each pair of neighbours."""
        following = x[..., 1:]
        if not self.context:  # the last step has no neighbour: zero if learned, else itself
            following = torch.cat([following, x[..., -1:] * (self.weight is None)], dim=-1)
        share = 0.5 if self.weight is None else self.weight.sigmoid()[:, None]
        between = share * x[..., : following.shape[-1]] + (1 - share) * following
        pairs = torch.stack([x, pad_end(between, x.shape[-1])], dim=-1).flatten(-2)
        return pairs[..., : x.shape[-1] + between.shape[-1]]


class WaveUNet(System):
    """A U-Net on the waveform. (b c t) -> (b s c t) for any t >= 1."""

    config: WaveUNetConfig

    def __init__(self, config: WaveUNetConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.audio_channels
        widths = [config.width * level for level in range(1, config.levels + 2)]
        inputs = [channels, *widths[:-1]]
        convs = [self._conv(*ends, config.kernel) for ends in zip(inputs, widths, strict=True)]
        self.down, self.bottleneck = nn.ModuleList(convs[:-1]), convs[-1]
        self.interpolate = nn.ModuleList(
            Upsample(width, config.learned_upsampling, config.context)
            for width in reversed(widths[1:])
        )
        self.up = nn.ModuleList(
            self._conv(width + deeper, width, config.merge_kernel)
            for width, deeper in reversed(list(pairwise(widths)))
        )
        self.out = nn.ModuleList(
            nn.Conv1d(config.width + channels, channels, 1)
            for _ in config.stems[: -1 if config.difference else None]
        )
        for conv in [*self.down, self.bottleneck, *self.up, *self.out]:
            nn.init.xavier_uniform_(conv.weight)
            nn.init.zeros_(conv.bias)

    def _conv(self, inputs: int, outputs: int, kernel: int) -> nn.Conv1d:
        return nn.Conv1d(inputs, outputs, kernel, padding=0 if self.config.context else kernel // 2)

    def valid_samples(self, samples: int) -> int:
        """The next length that `network` gives back whole."""
        return self.sizes(samples)[1]

    def sizes(self, samples: int) -> tuple[int, int]:
        """Lengths that `network` takes and gives, the latter at least `samples`.

        >>> WaveUNet(WaveUNetConfig(width=1)).sizes(16384)
        (147443, 16389)
        """
        config = self.config
        if not config.context:
            whole = next_multiple(samples, 2**config.levels)
            return whole, whole
        steps = float(samples)
        for _ in range(config.levels):
            steps = (steps + config.merge_kernel) / 2
        innermost = max(2, -int(-steps // 1))
        given, taken = innermost, innermost + config.kernel - 1
        for _ in range(config.levels):
            given = 2 * given - 1 - (config.merge_kernel - 1)
            taken = 2 * taken - 1 + config.kernel - 1
        return taken, given

    def forward(self, mixture: Mixture) -> Estimates:
        """Separate songs: (batch, channels, samples) -> (batch, stems, channels, samples)."""
        samples = mixture.shape[-1]
        taken, given = self.sizes(samples)
        padded = pad_centre(pad_end(mixture, max(given, samples)), taken)
        return self.network(padded)[..., :samples]

    def network(self, mixture: Float[Tensor, "b c t"]) -> Float[Tensor, "b s c t2"]:
        """The figure: a length that `sizes` names in, its partner out."""
        x, skips = mixture, []
        for conv in self.down:
            x = F.leaky_relu(conv(x), 0.2)
            skips.append(x)
            x = x[..., ::2]
        x = F.leaky_relu(self.bottleneck(x), 0.2)
        for upsample, conv in zip(self.interpolate, self.up, strict=True):
            x = upsample(x)
            x = torch.cat([crop_centre(skips.pop(), x.shape[-1]), x], dim=1)
            x = F.leaky_relu(conv(x), 0.2)
        mixture = crop_centre(mixture, x.shape[-1])
        x = torch.cat([mixture, x], dim=1)
        estimates = torch.stack([self._bounded(conv(x)) for conv in self.out], dim=1)
        if self.config.difference:
            rest = mixture[:, None] - estimates.sum(dim=1, keepdim=True)
            rest = rest if self.training else rest.clamp(-1, 1)
            estimates = torch.cat([estimates, rest], dim=1)
        return estimates

    def _bounded(self, x: Tensor) -> Tensor:
        if self.config.bounded:
            return x.tanh()
        return x if self.training else x.clamp(-1, 1)
