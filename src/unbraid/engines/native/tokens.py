"""The parts of a transformer on tokens: arrays (tokens, width), one token behind the other."""

from __future__ import annotations

import ctypes
from ctypes import Structure, c_float, c_int, c_long, c_void_p

import numpy as np
from jaxtyping import Float

from unbraid.engines.native.library import kernels, pointer
from unbraid.engines.native.products import ADD, GELU, PLAIN
from unbraid.engines.native.sheets import Pool
from unbraid.engines.native.slices import Matrix, Slices
from unbraid.engines.native.weights import EPS, Weights


class TokenProduct(Structure):
    """`TokenProduct` of tokens.hpp."""

    _fields_ = [
        ("weights", Matrix),
        ("size", c_float),
        ("then", c_int),
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
    """out <- weight x + bias of each token x, with `then` applied.

    Args:
        weight: float16 stays so.
        then: one of PLAIN, GELU, ADD.
    """

    def __init__(
        self,
        weight: Float[np.ndarray, "rows depth"],
        bias: Float[np.ndarray, " rows"],
        then: int = PLAIN,
    ) -> None:
        self.width = len(weight)
        self._weight, self._then = Slices(weight, bias), then

    def __call__(self, x: int, tokens: int, out: int, threads: int) -> None:
        """So many tokens from the address `x` to the address `out`."""
        weight = self._weight
        of = TokenProduct(weight.struct, weight.token_size, self._then, x, out, tokens)
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


class AllTokensNorm:
    """GroupNorm of one group over all tokens and features."""

    def __init__(self, weights: Weights) -> None:
        self._weight, self._bias = weights["weight"], weights["bias"]

    def __call__(self, x: np.ndarray, threads: int) -> None:
        """x <- norm(x)."""
        tokens, width = x.shape
        sheet = (pointer(x), 1, tokens, width, tokens * width)
        norm = (1, pointer(self._weight), pointer(self._bias), EPS)
        kernels().group_norm(*sheet, *norm, 0, None, 0, threads)


class Attention:
    """`MultiHeadAttention` and what scales its output."""

    def __init__(self, weights: Weights, gain: np.ndarray, heads: int) -> None:
        packed, bias = weights.stored("in_proj_weight"), weights["in_proj_bias"]
        self._width = width = packed.shape[1]
        self._heads, self._depth = heads, width // heads
        self._queries = Linear(packed[:width], bias[:width])
        self._others = Linear(packed[width:], bias[width:])
        out = weights["out_proj.weight"] * gain[:, None]
        self._out = Linear(out, weights["out_proj.bias"] * gain, ADD)

    def __call__(
        self, x: np.ndarray, y: np.ndarray, other: np.ndarray, pool: Pool, threads: int
    ) -> None:
        """x <- x + what the tokens `y` find among the tokens `other`."""
        width, (tokens, others) = self._width, (len(y), len(other))
        q, kv = pool.take(tokens * width), pool.take(others * 2 * width)
        self._queries(pointer(y), tokens, pointer(q), threads)
        self._others(pointer(other), others, pointer(kv), threads)
        of = TokenAttention(
            q=pointer(q),
            k=pointer(kv),
            v=pointer(kv, width),
            out=pointer(q),  # what a query finds comes in its place
            q_stride=width,
            kv_stride=2 * width,
            out_stride=width,
            queries=tokens,
            keys=others,
            heads=self._heads,
            depth=self._depth,
            paired=kernels().pairs,
        )
        kernels().attend_tokens(ctypes.byref(of), threads)
        self._out(pointer(q), tokens, pointer(x), threads)
        pool.give(q, kv)


class FeedForward:
    """Two linear maps with GELU between, and what scales their output."""

    def __init__(self, weights: Weights, gain: np.ndarray) -> None:
        self._wide = Linear(weights.stored("linear1.weight"), weights["linear1.bias"], GELU)
        narrow = weights["linear2.weight"] * gain[:, None]
        self._narrow = Linear(narrow, weights["linear2.bias"] * gain, ADD)

    def __call__(self, x: np.ndarray, y: np.ndarray, pool: Pool, threads: int) -> None:
        """x <- x + feed_forward(y)."""
        tokens = len(y)
        h = pool.take(tokens * self._wide.width)
        self._wide(pointer(y), tokens, pointer(h), threads)
        self._narrow(pointer(h), tokens, pointer(x), threads)
        pool.give(h)


class Layer:
    """`SelfLayer` or `CrossLayer`, with norms before attention and feed-forward."""

    def __init__(self, weights: Weights, heads: int) -> None:
        self.crosses = weights.has("cross_attn")
        name = "cross_attn" if self.crosses else "self_attn"
        norms = ("norm1", "norm2", "norm3") if self.crosses else ("norm1", "norm2")
        self._norms = [LayerNorm(weights.under(norm)) for norm in norms]
        width = len(weights.stored("norm1.weight"))
        gains = [
            weights[f"{gain}.scale"] if weights.has(gain) else np.ones(width, np.float32)
            for gain in ("gamma_1", "gamma_2")
        ]
        self._attention = Attention(weights.under(name), gains[0], heads)
        self._feed_forward = FeedForward(weights, gains[1])
        self._norm_out = AllTokensNorm(weights.under("norm_out"))

    def __call__(self, x: np.ndarray, other: np.ndarray, pool: Pool, threads: int) -> None:
        """x <- the layer's output; `other` are the tokens of the other branch."""
        y = seen = pool.tokens(*x.shape)
        self._norms[0](x, y, threads)
        if self.crosses:
            seen = pool.tokens(*other.shape)
            self._norms[1](other, seen, threads)
        self._attention(x, y, seen, pool, threads)
        self._norms[-1](x, y, threads)
        self._feed_forward(x, y, pool, threads)
        self._norm_out(x, threads)
        pool.give(y)
        if self.crosses:
            pool.give(seen)
