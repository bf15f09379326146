"""The network of one stem of Open-Unmix, in three parts that CrossNet-Open-Unmix bridges.

|mixture| (2, bins, n) ── to 16 kHz, scaled ── linear · BN · tanh ──┬─ 3 LSTM layers ─┐
                │                                                  └──── concat ─────┤
                │                                                                    │
|stem| ◄─────── × ◄── ReLU ── scaled ── BN · linear ── ReLU · BN · linear ───────────┘
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from unbraid.models.layers.batch_norm import BatchNorm1d
from unbraid.models.layers.recurrent import one_thread
from unbraid.models.open_unmix.config import OpenUnmixConfig
from unbraid.shapes import Float


class UnmixCore(nn.Module):
    """Magnitudes of the mixture to those of one stem, (b c f n) -> (b c f n)."""

    def __init__(self, config: OpenUnmixConfig) -> None:
        super().__init__()
        self.bins, hidden = config.bins, config.hidden
        all_bins = config.n_fft // 2 + 1
        self.channels = config.audio_channels
        self.input_mean = nn.Parameter(torch.zeros(self.bins))
        self.input_scale = nn.Parameter(torch.ones(self.bins))
        self.output_scale = nn.Parameter(torch.ones(all_bins))
        self.output_mean = nn.Parameter(torch.ones(all_bins))
        self.fc1 = nn.Linear(self.channels * self.bins, hidden, bias=False)
        self.bn1 = BatchNorm1d(hidden)
        self.lstm = nn.LSTM(
            hidden,
            hidden // 2 if config.both_ways else hidden,
            config.lstm_layers,
            bidirectional=config.both_ways,
            dropout=config.dropout if config.lstm_layers > 1 else 0.0,
        )
        self.fc2 = nn.Linear(2 * hidden, hidden, bias=False)
        self.bn2 = BatchNorm1d(hidden)
        self.fc3 = nn.Linear(hidden, self.channels * all_bins, bias=False)
        self.bn3 = BatchNorm1d(self.channels * all_bins)

    def forward(self, mixture: Float[Tensor, "b c f n"]) -> Float[Tensor, "b c f n"]:
        """The figure."""
        x = self.encode(mixture)
        return mixture * self.mask(torch.cat([x, self.recur(x)], dim=-1))

    def encode(self, mixture: Float[Tensor, "b c f n"]) -> Float[Tensor, "n b h"]:
        """Magnitudes to features of each frame."""
        x = rearrange(mixture[:, :, : self.bins], "b c f n -> n b c f")
        x = (x + self.input_mean) * self.input_scale
        return self._each_frame(self.bn1, self.fc1(rearrange(x, "n b c f -> n b (c f)"))).tanh()

    def recur(self, x: Float[Tensor, "n b h"]) -> Float[Tensor, "n b h"]:
        """The LSTM."""
        with one_thread(x.device):
            hidden: Tensor = self.lstm(x)[0]
        return hidden

    def mask(self, x: Float[Tensor, "n b h2"]) -> Float[Tensor, "b c f n"]:
        """Features to the mask of all bins, 0 or more."""
        x = self._each_frame(self.bn2, self.fc2(x)).relu()
        x = self._each_frame(self.bn3, self.fc3(x))
        x = rearrange(x, "n b (c f) -> n b c f", c=self.channels)
        x = (x * self.output_scale + self.output_mean).relu()
        return rearrange(x, "n b c f -> b c f n")

    @staticmethod
    def _each_frame(norm: nn.Module, x: Float[Tensor, "n b h"]) -> Float[Tensor, "n b h"]:
        frames: Tensor = norm(rearrange(x, "n b h -> (n b) h"))
        return rearrange(frames, "(n b) h -> n b h", b=x.shape[1])
