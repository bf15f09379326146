"""The parts of a transformer on tokens: rows (tokens, width) at its ends, panels between; see
`kernels/tokens.hpp`."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import Structure, c_float, c_int, c_long, c_void_p
from dataclasses import dataclass

import numpy as np

from unbraid.engines.native.feed import Feed, Projection
from unbraid.engines.native.library import kernels, pointer
from unbraid.engines.native.sheets import Pool
from unbraid.engines.native.slices import EntranceNorm, Matrix, Slices, with_bias
from unbraid.engines.native.weights import EPS, Weights
from unbraid.shapes import Float, Float32


class TokenProduct(Structure):
    """`TokenProduct` of tokens.hpp."""

    _fields_ = [
        ("weights", Matrix),
        ("size", c_float),
        ("adding", c_int),
        *((name, c_void_p) for name in ("x", "out")),
        ("tokens", c_long),
    ]


class TokenAttention(Structure):
    """`TokenAttention` of tokens.hpp."""

    _fields_ = [
        *((name, c_void_p) for name in ("q", "k", "v", "out")),
        *((name, c_long) for name in ("q_stride", "kv_stride", "out_stride", "queries", "keys")),
        *((name, c_int) for name in ("heads", "depth", "paired")),
    ]


class Linear:
    """out <- weight x + bias of each token x, or `adding` to what is there.

    Args:
        weight: float16 stays so.
    """

    def __init__(
        self,
        weight: Float[np.ndarray, "rows depth"],
        bias: Float[np.ndarray, " rows"],
        *,
        adding: bool,
    ) -> None:
        self.width = len(weight)
        self._weight, self._adding = Slices(weight, bias), adding

    def __call__(self, x: int, tokens: int, out: int, threads: int) -> None:
        """So many tokens from the address `x` to the address `out`."""
        weight = self._weight
        of = TokenProduct(weight.struct, weight.token_size, self._adding, x, out, tokens)
        kernels().multiply_tokens(ctypes.byref(of), threads)


class LayerNorm:
    """Each token to mean 0 and deviation 1, times a weight, plus a bias."""

    def __init__(self, weights: Weights) -> None:
        self._weight, self._bias = weights["weight"], weights["bias"]

    def __call__(
        self, x: np.ndarray, out: np.ndarray, threads: int, table: np.ndarray | None = None
    ) -> None:
        """out <- norm(x), plus `table` of the same shape if given; out may be x."""
        kernels().layer_norm(
            pointer(x),
            *x.shape,
            pointer(self._weight),
            pointer(self._bias),
            EPS,
            None if table is None else pointer(table),
            pointer(out),
            threads,
        )


@dataclass(frozen=True)
class Tokens:
    """Tokens in panels (panels, width, lanes), of which the first `count` count."""

    lanes: Float32[np.ndarray, "p w l"]
    count: int

    @classmethod
    def of_rows(cls, rows: Float32[np.ndarray, "n w"], pool: Pool, threads: int) -> Tokens:
        """From an array (tokens, width), which goes back to the pool."""
        count, width = rows.shape
        lanes = pool.tokens(-(-count // kernels().panel), width, kernels().panel)
        kernels().rows_to_panels(pointer(rows), count, width, pointer(lanes), threads)
        pool.give(rows)
        return cls(lanes, count)

    def to_rows(self, pool: Pool, threads: int) -> Float32[np.ndarray, "n w"]:
        """The other way."""
        width = self.lanes.shape[1]
        rows = pool.tokens(self.count, width)
        kernels().panels_to_rows(pointer(self.lanes), self.count, width, pointer(rows), threads)
        pool.give(self.lanes)
        return rows

    def copy(self, pool: Pool) -> Tokens:
        """The same in memory of its own."""
        lanes = pool.tokens(*self.lanes.shape)
        lanes[:] = self.lanes
        return Tokens(lanes, self.count)


class AllTokensNorm:
    """GroupNorm of one group over all tokens and features."""

    def __init__(self, weights: Weights) -> None:
        self._weight, self._bias = weights["weight"], weights["bias"]

    def __call__(self, x: Tokens, threads: int) -> None:
        """x <- norm(x)."""
        norm = (pointer(self._weight), pointer(self._bias), EPS)
        width = x.lanes.shape[1]
        kernels().norm_of_all(pointer(x.lanes), x.count, width, *norm, threads)


class Attention:
    """`MultiHeadAttention` without its output layer, and the norms before."""

    def __init__(self, weights: Weights, norms: Sequence[Weights], heads: int) -> None:
        packed, bias = weights.stored("in_proj_weight"), weights["in_proj_bias"]
        self._width = width = packed.shape[1]
        self._heads, self._depth = heads, width // heads
        parts = (
            [slice(0, 3 * width)] if len(norms) == 1 else [slice(width), slice(width, 3 * width)]
        )
        self._projections = [
            Projection(*_normed(norm, packed[part], bias[part]))
            for norm, part in zip(norms, parts, strict=True)
        ]

    def __call__(
        self, x: Tokens, other: Tokens, pool: Pool, threads: int
    ) -> Float32[np.ndarray, "p w l"]:
        """What tokens `x` find among tokens `other` (themselves, if there is one norm): the first
        features of panels that belong to the pool."""
        seen, panel = (x, other)[: len(self._projections)], kernels().panel
        made = []
        for tokens, project in zip(seen, self._projections, strict=True):
            made.append(pool.tokens(len(tokens.lanes), project.width, panel))
            project(tokens.lanes, made[-1], threads)
        first = made[-1].shape[1] - 2 * self._width  # of the keys
        of = TokenAttention(
            q=pointer(made[0]),
            k=pointer(made[-1], first * panel),
            v=pointer(made[-1], (first + self._width) * panel),
            out=pointer(made[0]),  # what a query finds comes in its place
            q_stride=made[0][0].size,
            kv_stride=made[-1][0].size,
            out_stride=made[0][0].size,
            queries=x.count,
            keys=seen[-1].count,
            heads=self._heads,
            depth=self._depth,
            paired=kernels().pairs,
        )
        kernels().attend_tokens(ctypes.byref(of), threads)
        pool.give(*made[1:])
        return made[0]


def _normed(norm: Weights, weight: np.ndarray, bias: np.ndarray) -> tuple[EntranceNorm, Slices]:
    """A LayerNorm and the linear map behind it."""
    matrix = Slices(weight, with_bias(weight, bias, norm["bias"]))
    return EntranceNorm(norm["weight"], weight.shape[1], matrix, centred=True), matrix


class Layer:
    """`SelfLayer` or `CrossLayer`, with norms before attention and feed-forward."""

    def __init__(self, weights: Weights, heads: int) -> None:
        self.crosses = weights.has("cross_attn")
        inside = weights.under("cross_attn" if self.crosses else "self_attn")
        names = ("norm1", "norm2", "norm3") if self.crosses else ("norm1", "norm2")
        *before, last = (weights.under(name) for name in names)
        self._attention = Attention(inside, before, heads)
        gains = [
            weights[f"{gain}.scale"] if weights.has(gain) else np.float32(1)
            for gain in ("gamma_1", "gamma_2")
        ]
        out = _scaled(inside.under("out_proj"), gains[0])
        norm, wide = _normed(last, weights.stored("linear1.weight"), weights["linear1.bias"])
        self._feed = Feed(out, norm, wide, _scaled(weights.under("linear2"), gains[1]))
        self._norm_out = AllTokensNorm(weights.under("norm_out"))

    def __call__(self, x: Tokens, other: Tokens, pool: Pool, threads: int) -> None:
        """x <- the layer's output; `other` are the tokens of the other branch."""
        found = self._attention(x, other, pool, threads)
        self._feed(x.lanes, pointer(found), found.shape[1], threads)
        pool.give(found)
        self._norm_out(x, threads)


def _scaled(weights: Weights, gain: np.ndarray | np.float32) -> Slices:
    """A linear map whose output is scaled."""
    bias = weights["bias"]
    scale = np.broadcast_to(gain, len(bias))
    return Slices(weights.stored("weight"), bias * scale, scale=scale)
