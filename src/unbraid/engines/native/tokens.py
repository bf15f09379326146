"""The parts of a transformer on tokens: arrays (tokens, width), one token behind the other."""

from __future__ import annotations

import ctypes
import math

import numpy as np

from unbraid.engines.native.library import AttentionHead, kernels, pointer
from unbraid.engines.native.products import ADD, GELU, PLAIN, Product
from unbraid.engines.native.sheets import Pool
from unbraid.engines.native.weights import EPS, Weights


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
        packed, bias = weights["in_proj_weight"], weights["in_proj_bias"]
        self._width = width = packed.shape[1]
        self._heads, self._depth = heads, width // heads
        share = np.float32(1 / math.sqrt(self._depth))
        self._queries = Product(share * packed[:width].T[None], share * bias[:width], PLAIN)
        self._others = Product(packed[width:].T[None], bias[width:], PLAIN)
        out = weights["out_proj.weight"].T * gain
        self._out = Product(out[None], weights["out_proj.bias"] * gain, ADD)

    def __call__(
        self, x: np.ndarray, y: np.ndarray, other: np.ndarray, pool: Pool, threads: int
    ) -> None:
        """x <- x + what the tokens `y` find among the tokens `other`."""
        width, (tokens, others) = self._width, (len(y), len(other))
        q, kv = pool.take(tokens * width), pool.take(others * 2 * width)
        self._queries([pointer(y)], width, tokens, pointer(q), width, threads)
        self._others([pointer(other)], width, others, pointer(kv), 2 * width, threads)
        head = AttentionHead(
            q=pointer(q),
            k=pointer(kv),
            v=pointer(kv, width),
            out=pointer(q),  # what a query finds comes in its place
            q_stride=width,
            kv_stride=2 * width,
            out_stride=width,
            queries=tokens,
            keys=others,
            depth=self._depth,
        )
        kernels().attend_tokens(ctypes.byref(head), self._heads, 1, 0, 0, 0, threads)
        self._out([pointer(q)], width, tokens, pointer(x), width, threads)
        pool.give(q, kv)


class FeedForward:
    """Two linear maps with GELU between, and what scales their output."""

    def __init__(self, weights: Weights, gain: np.ndarray) -> None:
        self._wide = Product(
            weights.stored("linear1.weight").T[None], weights["linear1.bias"], GELU
        )
        narrow = weights["linear2.weight"].T * gain
        self._narrow = Product(narrow[None], weights["linear2.bias"] * gain, ADD)

    def __call__(self, x: np.ndarray, y: np.ndarray, pool: Pool, threads: int) -> None:
        """x <- x + feed_forward(y)."""
        (tokens, width), hidden = y.shape, self._wide.columns
        h = pool.take(tokens * hidden)
        self._wide([pointer(y)], width, tokens, pointer(h), hidden, threads)
        self._narrow([pointer(h)], hidden, tokens, pointer(x), width, threads)
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
