"""Compressed residual branches: a narrow look over time, added in small amounts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unbraid.models.layers.attention import LocalAttention
from unbraid.models.layers.levels import ResidualShape
from unbraid.models.layers.recurrent import SpanLSTM
from unbraid.shapes import Float


def make_norm(groups: int | None, width: int) -> nn.Module:
    """GroupNorm, or nothing at all."""
    return nn.Identity() if groups is None else nn.GroupNorm(groups, width)


class ChannelScale(nn.Module):
    """One learnt factor per channel (LayerScale, Touvron et al. 2021, arXiv:2103.17239)."""

    def __init__(self, width: int, init: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((width,), float(init)))

    def forward(self, x: Float[Tensor, "b c t"]) -> Float[Tensor, "b c t"]:
        """Multiply channel c by its factor."""
        return self.scale[:, None] * x


class ResidualBranch(nn.Module):
    """Squeeze, look around with a dilated convolution (LSTM, attention), expand, gate, scale.

    Shape: (batch, width, steps) -> the same; the caller adds it to its input.
    """

    def __init__(self, width: int, dilation: int, shape: ResidualShape) -> None:
        super().__init__()
        hidden = int(width / shape.compression)
        self.squeeze = nn.Conv1d(width, hidden, 3, padding=dilation, dilation=dilation)
        # One group: statistics over channels and time, which the paper calls layer norm.
        self.squeeze_norm = nn.GroupNorm(1, hidden)
        self.activation = nn.GELU()
        self.lstm = SpanLSTM(hidden) if shape.lstm else nn.Identity()
        self.attention = LocalAttention(hidden) if shape.attention else nn.Identity()
        self.expand = nn.Conv1d(hidden, 2 * width, 1)
        self.expand_norm = nn.GroupNorm(1, 2 * width)
        self.gate = nn.GLU(dim=1)
        self.scale = ChannelScale(width, shape.scale_init)

    def forward(self, x: Float[Tensor, "b c t"]) -> Float[Tensor, "b c t"]:
        """What the branch adds."""
        h = self.activation(self.squeeze_norm(self.squeeze(x)))
        h = self.attention(self.lstm(h))
        out: Tensor = self.scale(self.gate(self.expand_norm(self.expand(h))))
        return out


class ResidualBranches(nn.Module):
    """Branches of growing dilation, each added to its input: x <- x + branch(x).

    Shape: (batch, width, steps) -> the same.
    Source: arXiv:2111.03600, section 3.3.
    """

    def __init__(self, width: int, shape: ResidualShape) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            ResidualBranch(width, 2**d if shape.dilated else 1, shape) for d in range(shape.depth)
        )

    def forward(self, x: Float[Tensor, "b c t"]) -> Float[Tensor, "b c t"]:
        """Add every branch in turn."""
        for branch in self.branches:
            x = x + branch(x)
        return x
