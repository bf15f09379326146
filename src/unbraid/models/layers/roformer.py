"""Transformer layers with positions inside the attention, as in RoFormer.

Names of the parts are those of the published weights. Sources: arXiv:2309.02612, arXiv:2310.01809;
rotary positions, arXiv:2104.09864; polar positions, arXiv:2509.10534; cross-covariance attention,
arXiv:2106.09681.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from einops import rearrange
from einops.layers.torch import Rearrange
from torch import Tensor, nn

from unbraid.shapes import Float

Tokens = Float[Tensor, "b n c"]
Heads = Float[Tensor, "b h n c"]
WideHeads = Float[Tensor, "b h n 2*c"]


class RMSNorm(nn.Module):
    """Scale each token to length sqrt(width), times a learned factor for each feature."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = math.sqrt(width)
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Float[Tensor, "*b c"]) -> Float[Tensor, "*b c"]:
        """Normalize the last axis; zeros stay zeros."""
        return F.normalize(x, dim=-1) * self.scale * self.gamma


class FeedForward(nn.Module):
    """Norm, four times as many features, GELU, back."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.net = nn.Sequential(
            RMSNorm(width),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(4 * width, width),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tokens) -> Tokens:
        """Each token by itself."""
        return self.net(x)  # type: ignore[no-any-return]


class Rotary(nn.Module):
    """Rotates neighbouring pairs of features of queries and keys by angles that grow with place.

    Published files store the rates, in half precision some of them, and the weights were trained
    with what they store; so they are part of the state here, too, though not trained.
    """

    def __init__(self, head_width: int) -> None:
        super().__init__()
        steps = torch.arange(0, head_width, 2).float()
        self.freqs = nn.Parameter(10_000.0 ** (-steps / head_width), requires_grad=False)

    def forward(self, q: Heads, k: Heads) -> tuple[Heads, Heads]:
        """Queries and keys at places 0, 1, ..."""
        places = torch.arange(q.shape[-2], device=q.device).to(self.freqs.dtype)
        angles = torch.outer(places, self.freqs)
        turns = torch.complex(angles.cos(), angles.sin())
        return _rotated(q, turns), _rotated(k, turns)


def _rotated(x: Tensor, turns: Tensor) -> Tensor:
    # One pass over memory as complex numbers; halves of x by themselves take five.
    wide = rearrange(x.to(turns.real.dtype), "... (c two) -> ... c two", two=2)
    pairs = torch.view_as_complex(wide.contiguous())
    return torch.view_as_real(pairs * turns).flatten(-2).to(x.dtype)


class Polar(nn.Module):
    """Polar positions (PoPE): features are radii, places and a learned offset are angles.

    The score of query s and key t is the sum over features of

        softplus(q_s) softplus(k_t) cos((s - t) * rate - offset)

    with offsets within [-2 pi, 0].
    """

    def __init__(self, heads: int, head_width: int) -> None:
        super().__init__()
        steps = torch.arange(head_width).float()
        self.bias = nn.Parameter(torch.zeros(heads, head_width))
        self.inv_freqs = nn.Parameter(10_000.0 ** (-steps / head_width), requires_grad=False)

    def forward(self, q: Heads, k: Heads) -> tuple[WideHeads, WideHeads]:
        """Queries and keys of twice the width, whose dot products are the scores."""
        places = torch.arange(q.shape[-2], device=q.device).to(q.dtype)
        angles = torch.outer(places, self.inv_freqs)
        offset = self.bias.clamp(-2 * math.pi, 0)[:, None]
        return _polar(q, angles), _polar(k, angles + offset)


def _polar(x: Tensor, angles: Tensor) -> Tensor:
    radius = F.softplus(x)
    return torch.cat([radius * angles.cos(), radius * angles.sin()], dim=-1)


class GatedAttention(nn.Module):
    """Attention over tokens with positions; a gate from 0 to 1 for each head and token.

    Args:
        polar: `Polar` positions, else `Rotary` ones.
    """

    def __init__(
        self, width: int, heads: int, head_width: int, polar: bool, dropout: float
    ) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.scale = 1 / math.sqrt(head_width)
        self.norm = RMSNorm(width)
        self.to_qkv = nn.Linear(width, 3 * heads * head_width, bias=False)
        self.to_gates = nn.Linear(width, heads)
        self.to_out = nn.Sequential(
            nn.Linear(heads * head_width, width, bias=False), nn.Dropout(dropout)
        )
        self.polar = polar
        if polar:
            self.pope_embed = Polar(heads, head_width)
        else:
            self.rotary_embed = Rotary(head_width)

    def forward(self, x: Tokens) -> Tokens:
        """What the tokens find among themselves."""
        x = self.norm(x)
        q, k, v = rearrange(self.to_qkv(x), "b n (qkv h c) -> qkv b h n c", qkv=3, h=self.heads)
        q, k = self.pope_embed(q, k) if self.polar else self.rotary_embed(q, k)
        dropout = self.dropout if self.training else 0.0
        found = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=self.scale)
        found = found * rearrange(self.to_gates(x).sigmoid(), "b n h -> b h n 1")
        return self.to_out(rearrange(found, "b h n c -> b n (h c)"))  # type: ignore[no-any-return]


class FeatureAttention(nn.Module):
    """Attention among features instead of tokens: linear in the number of tokens."""

    sharpness = 8.0

    def __init__(self, width: int, heads: int, head_width: int, dropout: float) -> None:
        super().__init__()
        inner = heads * head_width
        self.dropout = dropout
        self.norm = RMSNorm(width)
        self.to_qkv = nn.Sequential(
            nn.Linear(width, 3 * inner, bias=False),
            Rearrange("b n (qkv h c) -> qkv b h c n", qkv=3, h=heads),
        )
        self.temperature = nn.Parameter(torch.zeros(heads, 1, 1))
        self.to_out = nn.Sequential(
            Rearrange("b h c n -> b n (h c)"), nn.Linear(inner, width, bias=False)
        )

    def forward(self, x: Tokens) -> Tokens:
        """What the features find among themselves."""
        q, k, v = self.to_qkv(self.norm(x))
        q, k = F.normalize(q, dim=-1) * self.temperature.exp(), F.normalize(k, dim=-1)
        dropout = self.dropout if self.training else 0.0
        found = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=self.sharpness)
        return self.to_out(found)  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """Layers of attention and feed-forward, each added to its input.

    Args:
        attentions: one for each layer.
        norm_out: whether an `RMSNorm` follows the last layer.
    """

    def __init__(
        self, attentions: list[nn.Module], width: int, dropout: float, norm_out: bool
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList([attention, FeedForward(width, dropout)]) for attention in attentions
        )
        self.norm = RMSNorm(width) if norm_out else nn.Identity()

    def forward(self, x: Tokens) -> Tokens:
        """Run all layers."""
        for attention, feed_forward in cast("Iterable[Sequence[nn.Module]]", self.layers):
            x = x + attention(x)
            x = x + feed_forward(x)
        return self.norm(x)  # type: ignore[no-any-return]
