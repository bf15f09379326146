"""BS-RoFormer and Mel-Band RoFormer as the kernels run them: what `Roformer.forward` computes,
without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from unbraid.engines.native.feed import MOST_LANES, feed_floats, in_panels
from unbraid.engines.native.grids import (
    AxisLayer,
    BandEmbeddings,
    BandMasks,
    Grid,
    MaskedSpectrum,
)
from unbraid.engines.native.library import kernels
from unbraid.engines.native.network import NativeNetwork
from unbraid.engines.native.panel_spectra import PanelSpectra
from unbraid.engines.native.weights import Weights
from unbraid.shapes import Float32
from unbraid.threads import get_threads

if TYPE_CHECKING:
    from unbraid.models.roformer.config import RoformerConfig

_TIME, _BANDS = 0, 1  # the transformers of a block

_PARTS = 4
"""Of the bands, or of the frames, on few threads: each part finds enough for all of them to do."""
_THREADS_A_PART = 4
_MASK_PANELS = 8
"""That are masked together."""


class NativeRoformer(NativeNetwork):
    """`Roformer` on arrays."""

    def __init__(
        self, config: Any, state: Mapping[str, np.ndarray], threads: int | None = None
    ) -> None:
        super().__init__(config, threads)
        weights, bands, parts = Weights(state), config.split, 2 * config.audio_channels
        window = (config.n_fft, config.hop, config.window, config.normalized)
        self._spectra = PanelSpectra(*window, kernels().panel)
        self._embed = BandEmbeddings(weights, bands, parts)
        self._blocks = [self._block(weights.under(f"layers.{n}")) for n in range(config.depth)]
        final = weights.get("final_norm.gamma")
        normed = final is None  # by the last block, which then ends in a norm
        if final is None:
            final = weights[f"layers.{config.depth - 1}.{_BANDS}.norm.gamma"]
        layers = config.mask_hidden_layers + 1
        self._masks = [
            BandMasks(
                weights.under(f"mask_estimators.{n}"), bands, parts, layers, final, normed=normed
            )
            for n in range(len(config.stems))
        ]
        bins = config.n_fft // 2 + 1
        self._apply = MaskedSpectrum(bands, bins, config.audio_channels, config.silence_dc)

    def _block(self, weights: Weights) -> list[AxisLayer]:
        """All layers along time, then all along the bands."""
        config, made = self.config, []
        counts = {_TIME: config.time_layers, _BANDS: config.frequency_layers}
        for axis, count in counts.items():
            inside = weights.under(str(axis))
            norm = inside.get("norm.gamma")
            for n in range(count):
                last = norm if n == count - 1 else None
                layer = inside.under(f"layers.{n}")
                sizes = (config.heads, config.head_width)
                made.append(AxisLayer(layer, *sizes, axis == _TIME, last))
        return made

    @staticmethod
    def fits(config: RoformerConfig) -> bool:
        """All but models with polar positions or feature attention."""
        along_both = config.time_layers > 0 and config.frequency_layers > 0
        return along_both and config.joint_layers == 0 and not config.polar

    @staticmethod
    def pool_floats(config: RoformerConfig, samples: int) -> int:
        """Spectrum and tokens of all frames, with the empty ones of the last panel; and what some
        of them find, or their masks."""
        frames = in_panels(samples // config.hop + 1, kernels().panel)
        bands, parts = config.split, 2 * config.audio_channels
        spectrum = parts * (config.n_fft // 2 + 1)
        masked = 0 if len(config.stems) == 1 else frames * spectrum
        masks = _MASK_PANELS * kernels().panel * parts * sum(count for _, count in bands)
        tokens = len(bands) * config.width * (2 if config.skips else 1)
        found = _found_floats(config, frames // kernels().panel, get_threads())
        return frames * (spectrum + tokens) + max(found, masks + masked) + 256

    @staticmethod
    def other_floats(config: RoformerConfig, samples: int) -> int:
        """Waves in and out, and what the threads hold."""
        lanes = MOST_LANES
        frames = in_panels(samples // config.hop + 1)
        channels, padded = config.audio_channels, samples + 2 * config.n_fft
        # The song padded, also in float64; later estimates, sums, and in float64 their weights.
        leaving = len(config.stems) * channels * samples + (channels + 3) * padded
        panel = 8 * lanes * channels * config.n_fft
        transforms = max(3 * channels * padded, leaving) + panel
        # Of each thread: a head of one band, or of one panel; and some panels with hidden features.
        head = max(6 * frames, 3 * lanes * len(config.split)) * config.head_width
        feed = feed_floats(config.width, config.width * max(4, config.mask_growth))
        each = head + 2 * lanes * frames + feed + (1 << 17)
        return transforms + get_threads() * each

    def separate(
        self, song: Float32[np.ndarray, "c t"], estimates: Float32[np.ndarray, "s c t"]
    ) -> None:
        """The spectrum to tokens, through all blocks, and by the masks of each stem to waves."""
        pool, samples, lanes = self._pool, song.shape[1], kernels().panel
        panels, rows = self._spectra.panels(samples), 2 * len(song) * (self.config.n_fft // 2 + 1)
        spectrum = pool.tokens(panels, rows, lanes)
        self._spectra.enter(song, spectrum)
        tokens = pool.tokens(len(self.config.split), panels, self.config.width, lanes)
        self._embed(spectrum, tokens, self.threads)
        self._attend(Grid(tokens, self._spectra.frames(samples)))
        masks = pool.tokens(min(panels, _MASK_PANELS), self._masks[0].rows, lanes)
        masked = spectrum if len(self._masks) == 1 else pool.tokens(panels, rows, lanes)
        for network, waves in zip(self._masks, estimates, strict=True):
            for first in range(0, panels, _MASK_PANELS):
                some = slice(first, first + _MASK_PANELS)
                network(tokens[:, some], masks, self.threads)
                self._apply(spectrum[some], masks, masked[some], self.threads)
            self._spectra.leave(masked, waves)

    def _attend(self, grid: Grid) -> None:
        """All blocks. With skips, what all blocks gave is added to the input of the next."""
        pool, x = self._pool, grid.tokens
        before = pool.tokens(*x.shape) if self.config.skips else None
        found = pool.take(_found_floats(self.config, x.shape[1], self.threads))
        for number, block in enumerate(self._blocks):
            if before is not None and number > 0:
                x += before
            for layer in block:
                layer(grid, found, self.threads)
            if before is not None:
                before[:] = x if number == 0 else before + x
        pool.give(found)
        if before is not None:
            pool.give(before.reshape(-1))


def _found_floats(config: RoformerConfig, panels: int, threads: int) -> int:
    """Memory for what a part of the bands finds along time, or a part of the panels along bands."""
    parts = max(1, min(_PARTS, _PARTS * _THREADS_A_PART // threads))
    bands = len(config.split)
    most = max(-(-bands // parts) * panels, -(-panels // parts) * bands)
    return most * config.heads * config.head_width * kernels().panel
