"""BS-RoFormer and Mel-Band RoFormer as the kernels run them: what `Roformer.forward` computes,
without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from unbraid.engines.native.feed import feed_floats
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
        """Spectrum, tokens and masks of all frames, with the empty ones of the last panel."""
        frames = _in_panels(samples // config.hop + 1, kernels().panel)
        bands, parts = config.split, 2 * config.audio_channels
        spectrum = parts * (config.n_fft // 2 + 1)
        masks = parts * sum(count for _, count in bands)
        tokens = len(bands) * config.width * (2 if config.skips else 1)
        found = len(bands) * config.heads * config.head_width
        return frames * (spectrum + tokens + max(found, masks + spectrum)) + 256

    @staticmethod
    def other_floats(config: RoformerConfig, samples: int) -> int:
        """Waves in and out, and what the threads hold."""
        lanes = 32  # the most that a panel holds
        frames = _in_panels(samples // config.hop + 1, lanes)
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
        masks = pool.tokens(panels, self._masks[0].rows, lanes)
        masked = pool.tokens(panels, rows, lanes)
        for network, waves in zip(self._masks, estimates, strict=True):
            network(tokens, masks, self.threads)
            self._apply(spectrum, masks, masked, self.threads)
            self._spectra.leave(masked, waves)

    def _attend(self, grid: Grid) -> None:
        """All blocks. With skips, what all blocks gave is added to the input of the next."""
        pool, x = self._pool, grid.tokens
        before = pool.tokens(*x.shape) if self.config.skips else None
        inner = self.config.heads * self.config.head_width
        found = pool.take(x.shape[0] * x.shape[1] * inner * x.shape[3])
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


def _in_panels(frames: int, lanes: int) -> int:
    """Frames with the empty ones of the last panel."""
    return -(-frames // lanes) * lanes
