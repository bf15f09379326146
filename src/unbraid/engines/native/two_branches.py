"""What the two hybrids, Hybrid Demucs and HT Demucs, share in the kernels: their outer levels.

A subclass says what happens between encoders and decoders. The layers are those of
`models/spectral/layers.py`, in the same order; only their outer levels come apart into what a
processor does at once (see `kernels/`).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from unbraid.engines.native.network import NativeNetwork
from unbraid.engines.native.norms import standardize
from unbraid.engines.native.rows import SpecDecoder, SpecEncoder
from unbraid.engines.native.sheets import Sheet
from unbraid.engines.native.spectra import HOPS, Spectra
from unbraid.engines.native.steps import TimeDecoder, TimeEncoder
from unbraid.engines.native.weights import Weights
from unbraid.shapes import Float32


def outer_fits(config: Any) -> bool:
    """Whether the kernels run the outer levels of a config, whichever hybrid it is of."""
    return bool(
        config.kernel == 2 * config.stride == 8
        and config.gate
        and config.encoder_context == 0
        and config.decoder_context == 1
        and config.norm_from >= 1
        and math.log(config.n_fft, 4).is_integer()
        and 2 ** (abs(config.residual_depth) - 1) <= 8
    )


def floats_at_once(
    config: Any,
    samples: int,
    widths: tuple[Sequence[int], Sequence[int]],
    core: int,
    *,
    branches: bool = False,
    magnitude: bool = False,
) -> int:
    """The most that lives at once: the largest need of any level, with the skips kept meanwhile.

    Args:
        widths: of the outer levels of the spectral and the time branch.
        core: floats that the core needs in addition to the skips.
        branches: whether decoders have residual branches.
        magnitude: whether the network takes magnitudes.
    """
    frames = math.ceil(samples * HOPS / config.n_fft)
    rows, stride = config.n_fft // 2, config.stride
    spec, time = [], []
    for level, (wide, narrow) in enumerate(zip(*widths, strict=True)):
        shrunk = stride ** (level + 1)
        spec.append(Sheet.size(rows // shrunk, frames, wide))
        time.append(Sheet.size(1, math.ceil(samples / shrunk), narrow))
    waves = Sheet.size(1, samples, config.audio_channels * len(config.stems))
    stems = Sheet.size(rows, frames, 2 * config.audio_channels * len(config.stems))
    needs = [sum(spec) + sum(time) + core]
    for level in range(len(spec)):
        # Values and gates that wait for their norm, and the level without its ends cut off.
        normed = config.norm_from <= level
        gate, whole = (3, 1) if normed else (1 + branches, 0)
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
    if magnitude:  # the mixture's spectrogram, for its phase; stems without and with it
        kept, turned = Sheet.size(rows, frames, 2 * config.audio_channels), stems + stems // 2
    needs += [sum(spec) + 2 * time[0] + waves, waves + spec[0] + turned]
    return int(1.05 * (max(needs) + kept)) + (1 << 18)


class TwoBranches(NativeNetwork):
    """A hybrid without what lies between its encoders and decoders.

    Args:
        config, state, threads: as for any `NativeNetwork`.
        levels: how many outer levels there are.
        spectra: how spectrograms enter and leave.
    """

    def __init__(
        self,
        config: Any,
        state: Mapping[str, np.ndarray],
        levels: int,
        spectra: Spectra,
        threads: int | None = None,
    ) -> None:
        super().__init__(config, threads)
        self._signals = config.audio_channels * len(config.stems)
        weights, stride, groups = Weights(state), config.stride, config.norm_groups
        dilated, last = config.residual_depth > 0, levels - 1
        embedding = config.embedding_weight * config.embedding_scale
        self._spec_encoder = [
            SpecEncoder(weights.under(f"spec_encoder.{n}"), stride, groups, dilated, embedding)
            for n in range(levels)
        ]
        self._time_encoder = [
            TimeEncoder(weights.under(f"time_encoder.{n}"), stride, groups, dilated)
            for n in range(levels)
        ]
        self._spec_decoder = [
            SpecDecoder(weights.under(f"spec_decoder.{n}"), stride, groups, n == last, dilated)
            for n in range(levels)
        ]
        self._time_decoder = [
            TimeDecoder(
                weights.under(f"time_decoder.{n}"),
                stride,
                groups,
                outermost=n == last,
                dilated=dilated,
            )
            for n in range(levels)
        ]
        self._spectra = spectra

    @abstractmethod
    def core(self, x: Sheet, t: Sheet) -> None:
        """Add to the innermost spectral and time features what lies between encoders and decoders;
        they are the skips of the innermost decoders, too."""

    def separate(
        self, song: Float32[np.ndarray, "c t"], estimates: Float32[np.ndarray, "s c t"]
    ) -> None:
        """Both branches down, through the core and up again."""
        pool, threads, samples = self._pool, self.threads, song.shape[1]
        x, phase = self._spectra.enter(song, pool, threads)
        t = pool.sheet(1, samples, len(song))
        t.inner[0] = song.T
        x_mean, x_std = standardize(x.at(), x.shape, threads)
        t_mean, t_std = standardize(t.at(), t.shape, threads)

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
        self.core(x, t)
        *inner_time, outermost_time = self._time_decoder
        for time_decoder in inner_time:
            t = time_decoder(t, t_skips.pop(), pool, threads)
        waves = pool.sheet(1, samples, self._signals, lasting=True)
        t = outermost_time(t, waves, pool, threads)
        *inner_spec, outermost_spec = self._spec_decoder
        for spec_decoder in inner_spec:
            x = spec_decoder(x, x_skips.pop(), pool, threads)
        x = outermost_spec.signal(x, (x_std, x_mean), pool, threads)
        signals = estimates.reshape(-1, samples)
        self._spectra.leave(x, phase, t, (t_std, t_mean), signals, pool, threads)
        pool.give(t)
