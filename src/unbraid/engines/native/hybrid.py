"""Hybrid Demucs as the kernels run it: what `HybridDemucs.forward` computes, without torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from unbraid.engines.native.core import Meeting, Parting
from unbraid.engines.native.sheets import Sheet
from unbraid.engines.native.spectra import HOPS, Spectra
from unbraid.engines.native.steps import TimeDecoder, TimeEncoder
from unbraid.engines.native.two_branches import TwoBranches, floats_at_once, outer_fits
from unbraid.engines.native.weights import Weights

if TYPE_CHECKING:
    from unbraid.models.hybrid_demucs.config import HybridDemucsConfig

_UNITS = 16  # an LSTM has whole vectors of these, whatever the processor


class NativeHybridDemucs(TwoBranches):
    """`HybridDemucs` on arrays; see `TwoBranches`."""

    def __init__(
        self,
        config: HybridDemucsConfig,
        state: Mapping[str, np.ndarray],
        threads: int | None = None,
    ) -> None:
        spectra = Spectra(
            config.n_fft,
            delayed=config.delayed_stft,
            magnitude=config.magnitude,
            by_ratio=config.wiener_iterations < 0,
        )
        super().__init__(config, state, config.outer_levels, spectra, threads)
        weights, groups = Weights(state), config.norm_groups
        dilated = config.residual_depth > 0
        self._meeting = Meeting(weights.under("meeting"), config.stride, groups, dilated)
        shared, count = config.shared_stride, config.depth - config.outer_levels - 1
        self._shared_encoder = [
            TimeEncoder(weights.under(f"shared_encoder.{n}"), shared, groups, dilated)
            for n in range(count)
        ]
        self._shared_decoder = [
            TimeDecoder(weights.under(f"shared_decoder.{n}"), shared, groups) for n in range(count)
        ]
        self._parting = Parting(weights.under("parting"), config.stride, groups)

    @staticmethod
    def fits(config: HybridDemucsConfig) -> bool:
        """The paper's model, of any size, with or without each part."""
        outer = config.outer_levels
        looks_far = config.residual_encoder and min(config.lstm_from, config.attention_from) < outer
        hidden = [int(w / config.residual_compression) for w in config.spec_widths()[outer:]]
        even = all(units % _UNITS == 0 for units in hidden) or config.lstm_from >= config.depth
        return (
            outer > 0
            and outer_fits(config)
            and config.shared_stride <= 4
            and config.rows_at_meeting % 4 == 0
            and even
            and not looks_far
            and not config.residual_decoder
            and not (config.magnitude and config.wiener_iterations > 0)
            and config.split_levels == 0
        )

    @staticmethod
    def pool_floats(config: HybridDemucsConfig, samples: int) -> int:
        """Of the outer levels, and of the core between them."""
        outer = config.outer_levels
        widths = config.spec_widths()[:outer], config.time_widths()[:outer]
        frames = math.ceil(samples * HOPS / config.n_fft)
        core = 8 * Sheet.size(1, frames, max(config.spec_widths()))
        return floats_at_once(config, samples, widths, core, magnitude=config.magnitude)

    def core(self, x: Sheet, t: Sheet) -> None:
        """Add to x and t what comes back of them from the levels that they share."""
        pool, threads = self._pool, self.threads
        skips = [self._meeting(x, t, pool, threads)]
        for encoder in self._shared_encoder:
            skips.append(encoder(skips[-1], pool, threads))
        y = skips.pop()
        for decoder in self._shared_decoder:
            y = decoder(y, skips.pop(), pool, threads)
        self._parting(y, x, t, pool, threads)
