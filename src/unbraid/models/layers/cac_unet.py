"""The U-Net of Choi et al. on complex spectrograms, for any block.

    (4, n, f + 1) ── conv 1x2 · BN · ReLU ── block ──────────────── concat ── block ── conv 1x2
                                               │                      ▲
                              conv 2x2, stride 2 · BN      transposed conv 2x2 · BN
                                               └── block ── concat ── block
                                                     ┊          ▲
                                                     └─ block ──┘

Source: Choi et al., ISMIR 2020, arXiv:1912.02591.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from unbraid.models.layers.batch_norm import BatchNorm2d
from unbraid.models.layers.tfc_tdf import Maps

MakeBlock = Callable[[int, int], nn.Module]
"""(features that come in, frequency rows) -> a block."""


class CacCore(nn.Module):
    """(b c n f) -> (b c n f) with f odd; n and f - 1 are multiples of 2 to the power `levels`.

    Args:
        channels: of the spectrogram, real and imaginary parts.
        width: features everywhere inside.
        levels: how often time and frequency are halved.
        freq: frequency bins, Nyquist included.
        make_block: makes the block of each level: down, in the middle and up.
    """

    def __init__(
        self, channels: int, width: int, levels: int, freq: int, make_block: MakeBlock
    ) -> None:
        super().__init__()
        rows = [(freq - 1) // 2**level for level in range(levels + 1)]
        self.first = nn.Sequential(
            nn.Conv2d(channels, width, (1, 2)), BatchNorm2d(width), nn.ReLU()
        )
        self.encoders = nn.ModuleList(make_block(width, row) for row in rows[:-1])
        self.downs = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 2, 2), BatchNorm2d(width)) for _ in rows[1:]
        )
        self.middle = make_block(width, rows[-1])
        self.ups = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(width, width, 2, 2), BatchNorm2d(width))
            for _ in rows[1:]
        )
        self.decoders = nn.ModuleList(make_block(2 * width, row) for row in reversed(rows[:-1]))
        self.last = nn.Conv2d(width, channels, (1, 2), padding=(0, 1))
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Maps, conditions: Sequence[Any] | None = None) -> Maps:
        """The figure.

        Args:
            conditions: a second argument for each block, in the order of the way through; None
                for blocks that take none.
        """
        arguments = iter([()] * self.blocks if conditions is None else [(c,) for c in conditions])
        x, skips = self.first(x), []
        for block, down in zip(self.encoders, self.downs, strict=True):
            x = block(x, *next(arguments))
            skips.append(x)
            x = down(x)
        x = self.middle(x, *next(arguments))
        for up, block in zip(self.ups, self.decoders, strict=True):
            x = block(torch.cat([up(x), skips.pop()], dim=1), *next(arguments))
        return self.last(x)  # type: ignore[no-any-return]

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return 2 * len(self.encoders) + 1
