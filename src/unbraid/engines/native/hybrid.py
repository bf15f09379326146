"""Hybrid Demucs as the kernels run it: what `HybridDemucs.forward` computes, without torch.

The layers are those of `models/hybrid_demucs/network.py`, in the same order; only their outer
levels come apart into what a processor does at once (see `kernels/`).
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

from unbraid.engines.native.core import Meeting, Parting
from unbraid.engines.native.library import find, kernels
from unbraid.engines.native.rows import SpecDecoder, SpecEncoder
from unbraid.engines.native.sheets import Pool, Sheet
from unbraid.engines.native.spectra import HOPS, Spectra
from unbraid.engines.native.steps import TimeDecoder, TimeEncoder
from unbraid.engines.native.weights import Weights
from unbraid.threads import get_threads

if TYPE_CHECKING:
    from unbraid.models.hybrid_demucs.config import HybridDemucsConfig

__all__ = ["NativeHybridDemucs", "find", "fits", "memory_bytes"]

_UNITS = 16  # an LSTM has whole vectors of these, whatever the processor


def fits(config: HybridDemucsConfig) -> bool:
    """Whether the kernels run such a model: the paper's, of any size, with or without each part."""
    outer = config.outer_levels
    looks_far = config.residual_encoder and min(config.lstm_from, config.attention_from) < outer
    hidden = [int(w / config.residual_compression) for w in config.spec_widths()[outer:]]
    even = all(units % _UNITS == 0 for units in hidden) or config.lstm_from >= config.depth
    return (
        outer > 0
        and config.kernel == 2 * config.stride == 8
        and config.shared_stride <= 4
        and config.gate
        and config.encoder_context == 0
        and config.decoder_context == 1
        and config.norm_from >= 1
        and math.log(config.n_fft, 4).is_integer()
        and config.rows_at_meeting % 4 == 0
        and 2 ** (abs(config.residual_depth) - 1) <= 8
        and even
        and not looks_far
        and not config.residual_decoder
        and not (config.magnitude and config.wiener_iterations > 0)
        and config.split_levels == 0
    )


def memory_bytes(config: HybridDemucsConfig, samples: int) -> int:
    """Working memory of one pass over `samples`, besides the weights; an upper bound."""
    return 4 * _floats(config, samples)


def _floats(config: HybridDemucsConfig, samples: int) -> int:
    """The most that lives at once: the largest need of any level, with the skips kept meanwhile."""
    frames = math.ceil(samples * HOPS / config.n_fft)
    rows, stride = config.n_fft // 2, config.stride
    spec, time = [], []
    for level in range(config.outer_levels):
        shrunk, wide = stride ** (level + 1), config.spec_widths()[level]
        spec.append(Sheet.size(rows // shrunk, frames, wide))
        narrow = config.time_widths()[level]
        time.append(Sheet.size(1, math.ceil(samples / shrunk), narrow))
    waves = Sheet.size(1, samples, config.audio_channels * len(config.stems))
    stems = Sheet.size(rows, frames, 2 * config.audio_channels * len(config.stems))
    needs = [sum(spec) + sum(time) + 8 * Sheet.size(1, frames, max(config.spec_widths()))]  # core
    for level in range(config.outer_levels):
        # Values and gates that wait for their norm, and the level without its ends cut off.
        normed = config.norm_from <= level
        gate, whole = (3, 1) if normed else (1, 0)
        above = level - 1
        ahead = whole if level else 0
        before = (sum(spec[:level]), sum(time[:level]))
        needs += [
            sum(before) + (spec[0] if level == 0 else 0) + spec[level] + (1 + gate) * time[level],
            sum(before) + (1 + gate) * spec[level],
            sum(spec) + sum(time[: level + 1]) + gate * time[level] + ahead * time[above],
            waves + sum(spec[: level + 1]) + gate * spec[level] + ahead * spec[above],
        ]
    kept, turned = 0, stems
    if config.magnitude:  # the mixture's spectrogram, for its phase; stems without and with it
        kept, turned = Sheet.size(rows, frames, 2 * config.audio_channels), stems + stems // 2
    needs += [sum(spec) + 2 * time[0] + waves, waves + spec[0] + turned]
    return int(1.05 * (max(needs) + kept)) + (1 << 18)


class NativeHybridDemucs:
    """(b c t) -> (b s c t) on arrays, the same as `HybridDemucs` to float32 accuracy.

    Args:
        config: for which `fits`.
        state: weights by name, as `HybridDemucs.state_dict()` has them; any float type.
        threads: to compute on; None for as many as models run on in this process.
    """

    def __init__(
        self,
        config: HybridDemucsConfig,
        state: Mapping[str, np.ndarray],
        threads: int | None = None,
    ) -> None:
        self.config = config
        self.threads = threads or get_threads()
        self._pool = Pool(0)
        self._signals = config.audio_channels * len(config.stems)
        weights, stride, groups = Weights(state), config.stride, config.norm_groups
        dilated, outer = config.residual_depth > 0, config.outer_levels
        embedding = config.embedding_weight * config.embedding_scale
        self._spec_encoder = [
            SpecEncoder(weights.under(f"spec_encoder.{n}"), stride, groups, dilated, embedding)
            for n in range(outer)
        ]
        self._time_encoder = [
            TimeEncoder(weights.under(f"time_encoder.{n}"), stride, groups, dilated)
            for n in range(outer)
        ]
        self._meeting = Meeting(weights.under("meeting"), stride, groups, dilated)
        shared, count = config.shared_stride, config.depth - outer - 1
        self._shared_encoder = [
            TimeEncoder(weights.under(f"shared_encoder.{n}"), shared, groups, dilated)
            for n in range(count)
        ]
        self._shared_decoder = [
            TimeDecoder(weights.under(f"shared_decoder.{n}"), shared, groups) for n in range(count)
        ]
        self._parting = Parting(weights.under("parting"), stride, groups)
        self._spec_decoder = [
            SpecDecoder(weights.under(f"spec_decoder.{n}"), stride, groups, n == outer - 1)
            for n in range(outer)
        ]
        self._time_decoder = [
            TimeDecoder(
                weights.under(f"time_decoder.{n}"), stride, groups, outermost=n == outer - 1
            )
            for n in range(outer)
        ]
        self._spectra = Spectra(config)

    def __call__(
        self,
        mixture: Float32[np.ndarray, "b c t"],
        memory: Float32[np.ndarray, " n"] | None = None,
    ) -> Float32[np.ndarray, "b s c t"]:
        """Separate songs, one after the other: together they would only share the cache.

        Args:
            mixture: the songs.
            memory: for the estimates of a single song, if it is large enough.
        """
        if len(mixture) > 1:
            memory = None
        needed = _floats(self.config, mixture.shape[2])
        if self._pool.floats < needed:
            self._pool = Pool(needed)
        self._pool.forget()
        estimates = [self._separate(song, memory) for song in mixture]
        return estimates[0][None] if len(estimates) == 1 else np.stack(estimates)

    def _separate(
        self, song: Float32[np.ndarray, "c t"], memory: np.ndarray | None
    ) -> Float32[np.ndarray, "s c t"]:
        pool, threads, samples = self._pool, self.threads, song.shape[1]
        x, phase = self._spectra.enter(song, pool, threads)
        t = pool.sheet(1, samples, len(song))
        t.inner[0] = song.T
        x_mean, x_std = _standardize(x, threads)
        t_mean, t_std = _standardize(t, threads)

        x_skips: list[Sheet] = []
        t_skips: list[Sheet] = []
        for spec_encoder, time_encoder in zip(self._spec_encoder, self._time_encoder, strict=True):
            encoded = spec_encoder(x, pool, threads), time_encoder(t, pool, threads)
            if not x_skips:
                pool.give(x, t)
            x, t = encoded
            x_skips.append(x)
            t_skips.append(t)

        # What a decoder makes is added to the skip that the next one takes.
        x, t = x_skips.pop(), t_skips.pop()
        self._core(x, t)
        *inner_time, outermost_time = self._time_decoder
        for time_decoder in inner_time:
            t = time_decoder(t, t_skips.pop(), pool, threads)
        waves = pool.sheet(1, samples, self._signals, lasting=True)
        t = outermost_time(t, waves, pool, threads)
        *inner_spec, outermost_spec = self._spec_decoder
        for spec_decoder in inner_spec:
            x = spec_decoder(x, x_skips.pop(), pool, threads)
        x = outermost_spec.signal(x, (x_std, x_mean), pool, threads)
        size = t.width * t.steps
        if memory is None or memory.size < size:
            memory = np.empty(size, np.float32)
        estimates = memory[:size].reshape(t.width, t.steps)
        self._spectra.leave(x, phase, t, (t_std, t_mean), estimates, pool, threads)
        pool.give(t)
        return estimates.reshape(len(self.config.stems), -1, samples)

    def _core(self, x: Sheet, t: Sheet) -> None:
        """Adds to x and t what comes back of them from the levels that they share."""
        pool, threads = self._pool, self.threads
        skips = [self._meeting(x, t, pool, threads)]
        for encoder in self._shared_encoder:
            skips.append(encoder(skips[-1], pool, threads))
        y = skips.pop()
        for decoder in self._shared_decoder:
            y = decoder(y, skips.pop(), pool, threads)
        self._parting(y, x, t, pool, threads)


def _standardize(x: Sheet, threads: int) -> tuple[float, float]:
    """Zero mean, unit deviation; mean and deviation as they were."""
    found = (ctypes.c_double * 2)()
    kernels().moments(x.at(), x.rows, x.steps, x.width, x.row_stride, found, threads)
    count = x.rows * x.steps * x.width
    mean = found[0] / count
    std = math.sqrt(max(0.0, found[1] - count * mean * mean) / max(1, count - 1))
    gain = 1 / (1e-5 + std)
    kernels().scale(x.at(), x.rows, x.steps, x.width, x.row_stride, mean, gain, threads)
    return mean, std
