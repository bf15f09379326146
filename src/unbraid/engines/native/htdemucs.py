"""HT Demucs as the kernels run it: what `HTDemucs.forward` computes, without torch."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from unbraid.engines.native.feed import MOST_LANES, feed_floats, in_panels
from unbraid.engines.native.library import pointer
from unbraid.engines.native.sheets import Pool, Sheet
from unbraid.engines.native.spectra import HOPS, Spectra
from unbraid.engines.native.tokens import Layer, LayerNorm, Linear, Tokens
from unbraid.engines.native.two_branches import TwoBranches, floats_at_once, outer_fits
from unbraid.engines.native.weights import Weights
from unbraid.shapes import Float32
from unbraid.threads import get_threads

if TYPE_CHECKING:
    from unbraid.models.htdemucs.config import HTDemucsConfig


def _tokens(config: HTDemucsConfig, samples: int) -> tuple[int, int]:
    """How many tokens the two branches make."""
    frames = math.ceil(samples * HOPS / config.n_fft)
    steps = samples
    for _ in range(config.depth):
        steps = -(-steps // config.stride)
    return config.n_fft // 2 // config.stride**config.depth * frames, steps


class NativeHTDemucs(TwoBranches):
    """`HTDemucs` on arrays; see `TwoBranches`. Zeros extend shorter songs to its segment."""

    def __init__(
        self,
        config: HTDemucsConfig,
        state: Mapping[str, np.ndarray],
        threads: int | None = None,
    ) -> None:
        super().__init__(config, state, config.depth, Spectra(config.n_fft), threads)
        weights = Weights(state)
        self._spec_tokens = _Doors(weights, "", config.bottleneck)
        self._time_tokens = _Doors(weights, "_t", config.bottleneck)
        inside = weights.under("crosstransformer")
        self._norm_in = LayerNorm(inside.under("norm_in"))
        self._norm_in_t = LayerNorm(inside.under("norm_in_t"))
        numbers = range(config.transformer_layers)
        self._layers = [
            tuple(
                Layer(inside.under(f"{side}.{n}"), config.heads) for side in ("layers", "layers_t")
            )
            for n in numbers
        ]

    @staticmethod
    def fits(config: HTDemucsConfig) -> bool:
        """Models as published, of any size."""
        rows = config.n_fft // 2 // config.stride**config.depth
        return (
            outer_fits(config)
            and config.norm_from >= config.depth
            and rows % 4 == 0
            and config.transformer_layers > 0
            and config.position == "sin"
            and config.norm_in
            and config.norm_first
            and config.norm_out
            and config.norm_inner_groups == 0
            and config.gelu
        )

    @staticmethod
    def valid_samples(config: HTDemucsConfig, samples: int) -> int:
        """As `HTDemucs.valid_samples`."""
        return config.valid_samples(samples)

    @staticmethod
    def pool_floats(config: HTDemucsConfig, samples: int) -> int:
        """Of the outer levels, and of the transformer between them."""
        samples = max(samples, config.spec.longest_samples or 0)
        counts = [in_panels(count) for count in _tokens(config, samples)]
        # Tokens of both and a copy of one; queries, keys and values, which take most of a layer.
        core = (sum(counts) + 4 * max(counts)) * config.inner_width
        widths = config.spec_widths, config.time_widths
        return floats_at_once(config, samples, widths, core, branches=config.residual_decoder)

    @staticmethod
    def other_floats(config: HTDemucsConfig, samples: int) -> int:
        """Of each thread: keys and values of a head with some queries and scores, or some panels
        with their hidden features."""
        samples = max(samples, config.spec.longest_samples or 0)
        width, hidden = config.inner_width, int(config.inner_width * config.hidden_scale)
        depth = width // config.heads
        head = (max(_tokens(config, samples)) + 64) * (2 * depth + 32)
        head += 8 * MOST_LANES * (depth + 32)
        return get_threads() * max(head, feed_floats(width, hidden))

    def core(self, x: Sheet, t: Sheet) -> None:
        """Add what the transformer makes of the innermost features to them."""
        pool, threads = self._pool, self.threads
        config, width = self.config, self.config.inner_width
        tokens = self._spec_tokens.enter(x, pool, threads)
        steps = self._time_tokens.enter(t, pool, threads)
        weight = np.float32(config.position_weight)
        table = weight * _map_table(x.rows, x.steps, width, config.max_period)
        self._norm_in(tokens, tokens, threads, table)
        table = weight * _sine_table(t.steps, width, config.max_period)
        self._norm_in_t(steps, steps, threads, table)
        y, z = (Tokens.of_rows(rows, pool, threads) for rows in (tokens, steps))
        for layer, layer_t in self._layers:
            # Where they look across, both see what the other was before.
            before = y.copy(pool) if layer.crosses else y
            layer(y, z, pool, threads)
            layer_t(z, before, pool, threads)
            if layer.crosses:
                pool.give(before.lanes)
        self._spec_tokens.leave(y.to_rows(pool, threads), x, pool, threads)
        self._time_tokens.leave(z.to_rows(pool, threads), t, pool, threads)


class _Doors:
    """From a sheet (rows, steps, width) to tokens of the transformer's width, row by row, and back,
    added to what is there."""

    def __init__(self, weights: Weights, side: str, bottleneck: int) -> None:
        self._up = self._down = None
        if bottleneck:
            self._up = _linear(weights.under(f"channel_upsampler{side}"), adding=False)
            self._down = _linear(weights.under(f"channel_downsampler{side}"), adding=True)

    def enter(self, x: Sheet, pool: Pool, threads: int) -> np.ndarray:
        width = x.width if self._up is None else self._up.width
        tokens = pool.tokens(x.rows * x.steps, width)
        if self._up is None:
            tokens.reshape(x.rows, x.steps, width)[:] = x.inner
            return tokens
        for row in range(x.rows):
            to = pointer(tokens, row * x.steps * width)
            self._up(x.at(row), x.steps, to, threads)
        return tokens

    def leave(self, tokens: np.ndarray, x: Sheet, pool: Pool, threads: int) -> None:
        width = tokens.shape[1]
        if self._down is None:
            x.inner[:] += tokens.reshape(x.rows, x.steps, width)
        else:
            for row in range(x.rows):
                at = pointer(tokens, row * x.steps * width)
                self._down(at, x.steps, x.at(row), threads)
        pool.give(tokens)


def _linear(weights: Weights, *, adding: bool) -> Linear:
    return Linear(weights.stored("weight")[:, :, 0], weights["bias"], adding=adding)


@functools.lru_cache(maxsize=4)
def _sine_table(steps: int, width: int, period: float) -> Float32[np.ndarray, "n c"]:
    """As `positions.sine_table` for places 0, 1, ..."""
    half = width // 2
    exponents = np.arange(half, dtype=np.float32) / np.float32(max(half - 1, 1))
    phase = np.arange(steps, dtype=np.float32)[:, None] / np.float32(period) ** exponents
    return np.concatenate([np.cos(phase), np.sin(phase)], axis=1)


@functools.lru_cache(maxsize=4)
def _map_table(rows: int, frames: int, width: int, period: float) -> Float32[np.ndarray, "n c"]:
    """As `positions.map_table`, but row by row: frames run fast."""
    exponents = np.arange(width // 4, dtype=np.float32) * np.float32(-4 / width)
    rates = np.exp(exponents * np.float32(math.log(period)))

    def waves(count: int) -> np.ndarray:
        phase = np.arange(count, dtype=np.float32)[:, None] * rates
        return np.stack([np.sin(phase), np.cos(phase)], axis=-1).reshape(count, -1)

    by_frame = np.broadcast_to(waves(frames)[None], (rows, frames, width // 2))
    by_row = np.broadcast_to(waves(rows)[:, None], (rows, frames, width // 2))
    return np.concatenate([by_frame, by_row], axis=-1).reshape(rows * frames, width)
