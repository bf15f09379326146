"""The cross-domain transformer between encoders and decoders of HT Demucs.

    x  (spectrogram tokens)   self ── cross ── self ── cross ── self
                                       ╳                ╳
    t  (waveform tokens)      self ── cross ── self ── cross ── self

In a cross layer each branch takes queries from itself and keys and values from the other. Names of
the parts are those of the published weights. Source: arXiv:2211.08553, section 3.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from unbraid.errors import ShapeError
from unbraid.models.htdemucs.config import HTDemucsConfig
from unbraid.models.htdemucs.positions import (
    CentredPositions,
    LearnedPositions,
    map_table,
    sine_table,
)
from unbraid.shapes import Float

Tokens = Float[Tensor, "b n c"]
Other = Float[Tensor, "b m c"]


class CrossDomainTransformer(nn.Module):
    """Both branches see each other.

    Shape: spectrogram features (batch, width, freq, frames) and waveform features (batch, width,
    steps) -> the same shapes.
    """

    def __init__(self, config: HTDemucsConfig) -> None:
        super().__init__()
        self.config = config
        width = config.inner_width
        self.norm_in, self.norm_in_t = _norm_in(config), _norm_in(config)
        self.layers, self.layers_t = nn.ModuleList(), nn.ModuleList()
        for index in range(config.transformer_layers):
            crosses = index % 2 != int(config.cross_first)
            for branch in (self.layers, self.layers_t):
                branch.append(CrossLayer(config) if crosses else SelfLayer(config))
        if config.position == "scaled":
            self.position_embeddings = LearnedPositions(config.max_positions, width)
        self.centred = CentredPositions()

    def forward(
        self, x: Float[Tensor, "b c f n"], t: Float[Tensor, "b c t"]
    ) -> tuple[Float[Tensor, "b c f n"], Float[Tensor, "b c t"]]:
        """Run all layers."""
        rows, frames = x.shape[-2:]
        weight = self.config.position_weight
        x = rearrange(x, "b c f n -> b (n f) c")
        t = rearrange(t, "b c t -> b t c")
        x = self.norm_in(x) + weight * map_table(
            rows, frames, x.shape[-1], self.config.max_period, x
        )
        t = self.norm_in_t(t) + weight * self._time_positions(t)
        for layer, layer_t in zip(self.layers, self.layers_t, strict=True):
            x, t = layer(x, t), layer_t(t, x)
        return rearrange(x, "b (n f) c -> b c f n", f=rows), rearrange(t, "b t c -> b c t")

    def _time_positions(self, t: Tokens) -> Tensor:
        batch, steps, width = t.shape
        kind, period = self.config.position, self.config.max_period
        if kind == "scaled":
            if steps > self.config.max_positions:
                raise ShapeError(
                    f"this model has learned positions of {self.config.max_positions} steps, the "
                    f"input has {steps}; use a shorter segment"
                )
            return self.position_embeddings(steps)  # type: ignore[no-any-return]
        if kind == "cape":
            return sine_table(self.centred(batch, steps, t), width, period)
        return sine_table(torch.arange(steps, device=t.device, dtype=t.dtype), width, period)


class _Layer(nn.Module):
    """What self and cross layers share: scales, feed-forward, norms."""

    def __init__(self, config: HTDemucsConfig) -> None:
        super().__init__()
        width = config.inner_width
        hidden = int(width * config.hidden_scale)
        self.norm_first, self.gelu = config.norm_first, config.gelu
        self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm1, self.norm2 = _inner_norm(config), _inner_norm(config)
        if config.norm_first and config.norm_out:
            self.norm_out: nn.Module = TokenGroupNorm(1, width)
        else:
            self.norm_out = nn.Identity()
        scaled = config.layer_scale
        self.gamma_1 = FeatureScale(width, 1e-4) if scaled else nn.Identity()
        self.gamma_2 = FeatureScale(width, 1e-4) if scaled else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)

    def feed_forward(self, x: Tokens) -> Tokens:
        hidden = self.linear1(x)
        hidden = self.dropout(F.gelu(hidden) if self.gelu else F.relu(hidden))
        return self.gamma_2(self.dropout(self.linear2(hidden)))  # type: ignore[no-any-return]


class SelfLayer(_Layer):
    """A branch looks at itself; the other is not used."""

    def __init__(self, config: HTDemucsConfig) -> None:
        super().__init__(config)
        self.self_attn = MultiHeadAttention(config.inner_width, config.heads, config.dropout)

    def forward(self, x: Tokens, other: Other) -> Tokens:
        """Attention, feed-forward, each added to its input."""
        if self.norm_first:
            y = self.norm1(x)
            x = x + self._attend(y)
            x = x + self.feed_forward(self.norm2(x))
            return self.norm_out(x)  # type: ignore[no-any-return]
        x = self.norm1(x + self._attend(x))
        return self.norm2(x + self.feed_forward(x))  # type: ignore[no-any-return]

    def _attend(self, x: Tokens) -> Tokens:
        return self.gamma_1(self.dropout(self.self_attn(x, x)))  # type: ignore[no-any-return]


class CrossLayer(_Layer):
    """A branch looks at the other."""

    def __init__(self, config: HTDemucsConfig) -> None:
        super().__init__(config)
        self.cross_attn = MultiHeadAttention(config.inner_width, config.heads, config.dropout)
        # Present in published weights even where `norm_first` is off and nothing uses it.
        self.norm3 = _inner_norm(config)

    def forward(self, x: Tokens, other: Other) -> Tokens:
        """Attention to the other branch, feed-forward, each added to its input."""
        if self.norm_first:
            x = x + self._attend(self.norm1(x), self.norm2(other))
            x = x + self.feed_forward(self.norm3(x))
            return self.norm_out(x)  # type: ignore[no-any-return]
        x = self.norm1(x + self._attend(x, other))
        return self.norm2(x + self.feed_forward(x))  # type: ignore[no-any-return]

    def _attend(self, x: Tokens, other: Other) -> Tokens:
        return self.gamma_1(self.dropout(self.cross_attn(x, other)))  # type: ignore[no-any-return]


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention with biases, weights packed as rows [query; key; value]."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tokens, other: Other) -> Float[Tensor, "b n c"]:
        """What the tokens `x` find among the tokens `other`."""
        width = x.shape[-1]
        q = F.linear(x, self.in_proj_weight[:width], self.in_proj_bias[:width])
        kv = F.linear(other, self.in_proj_weight[width:], self.in_proj_bias[width:])
        q, k, v = (
            rearrange(part, "b n (h c) -> b h n c", h=self.heads)
            for part in (q, *kv.chunk(2, dim=-1))
        )
        found = F.scaled_dot_product_attention(
            q, k, v, dropout_p=self.dropout if self.training else 0.0
        )
        return self.out_proj(rearrange(found, "b h n c -> b n (h c)"))  # type: ignore[no-any-return]


class TokenGroupNorm(nn.GroupNorm):
    """GroupNorm over all tokens of an item: (batch, tokens, width) -> the same."""

    def forward(self, x: Tokens) -> Tokens:
        """Features stand first for torch."""
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class FeatureScale(nn.Module):
    """One learned factor for each feature of a token."""

    def __init__(self, width: int, init: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((width,), init))

    def forward(self, x: Tokens) -> Tokens:
        """Multiply feature c by its factor."""
        return self.scale * x


def _norm_in(config: HTDemucsConfig) -> nn.Module:
    if config.norm_in:
        return nn.LayerNorm(config.inner_width)
    if config.norm_in_groups:
        return TokenGroupNorm(config.norm_in_groups, config.inner_width)
    return nn.Identity()


def _inner_norm(config: HTDemucsConfig) -> nn.Module:
    if config.norm_inner_groups:
        return TokenGroupNorm(config.norm_inner_groups, config.inner_width)
    return nn.LayerNorm(config.inner_width)
