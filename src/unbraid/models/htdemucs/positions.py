"""Where a token stands, as numbers that are added to it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from unbraid.shapes import Float


def sine_table(positions: Float[Tensor, "*b n"], width: int, period: float) -> Tensor:
    """Cosines, then sines, of width / 2 frequencies: (..., n) -> (..., n, width).

    The slowest wave has the full `period` (its exponent runs to 1, not to 1 - 2 / width).
    """
    half = width // 2
    steps = torch.arange(half, device=positions.device, dtype=positions.dtype)
    phase = positions[..., None] / period ** (steps / max(half - 1, 1))
    return torch.cat([phase.cos(), phase.sin()], dim=-1)


def map_table(rows: int, frames: int, width: int, period: float, like: Tensor) -> Tensor:
    """Embedding of a spectrogram's tokens, (frames * rows, width); rows run fast.

    The first half of the features codes the frame, the second the frequency row; sines and cosines
    alternate.
    """
    quarter = width // 4
    exponents = torch.arange(quarter, device=like.device, dtype=like.dtype) * (-4 / width)
    rates = torch.exp(exponents * math.log(period))

    def waves(count: int) -> Tensor:
        phase = torch.arange(count, device=like.device, dtype=like.dtype)[:, None] * rates
        return torch.stack([phase.sin(), phase.cos()], dim=-1).flatten(1)

    by_frame = waves(frames)[:, None].expand(-1, rows, -1)
    by_row = waves(rows)[None].expand(frames, -1, -1)
    return torch.cat([by_frame, by_row], dim=-1).flatten(0, 1)


class CentredPositions(nn.Module):
    """CAPE: positions around their mean; moved, jittered and stretched at random in training.

    Source: Likhomanenko et al. 2021, arXiv:2106.03143.
    """

    shift, jitter, stretch = 5000.0, 1.0, 1.4

    def forward(self, batch: int, steps: int, like: Tensor) -> Float[Tensor, "b n"]:
        """Positions of `steps` tokens for each item of a batch."""
        position = torch.arange(steps, device=like.device, dtype=like.dtype)
        position = (position - position.mean()).expand(batch, -1)
        if not self.training:
            return position
        moved = (2 * torch.rand_like(position[:, :1]) - 1) * self.shift
        jitter = (2 * torch.rand_like(position) - 1) * self.jitter
        stretch = (2 * torch.rand_like(position[:, :1]) - 1) * math.log(self.stretch)
        return (position + moved + jitter) * stretch.exp()


class LearnedPositions(nn.Module):
    """A learned vector for each of the first `count` steps, stored at a third of its size."""

    scale = 3.0

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(count, width)
        with torch.no_grad():
            self.embedding.weight.div_(self.scale)

    def forward(self, steps: int) -> Float[Tensor, "n c"]:
        """Vectors of steps 0 ... steps - 1."""
        return self.embedding.weight[:steps] * self.scale
