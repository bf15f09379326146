"""BS-RoFormer and Mel-Band RoFormer as the kernels run them: what `Roformer.forward` computes,
without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32

from unbraid.engines.native.grids import (
    AxisLayer,
    BandEmbeddings,
    BandMasks,
    Grid,
    MaskedSpectrum,
)
from unbraid.engines.native.library import kernels
from unbraid.engines.native.panel_spectra import PanelSpectra
from unbraid.engines.native.sheets import Pool
from unbraid.engines.native.weights import Weights
from unbraid.threads import get_threads

if TYPE_CHECKING:
    from unbraid.models.roformer.config import RoformerConfig

__all__ = ["NativeRoformer", "fits", "memory_bytes", "valid_samples"]

_TIME, _BANDS = 0, 1  # the transformers of a block


def fits(config: RoformerConfig) -> bool:
    """Whether the kernels run such a model: all but polar positions and feature attention."""
    along_both = config.time_layers > 0 and config.frequency_layers > 0
    return along_both and config.joint_layers == 0 and not config.polar


def valid_samples(config: RoformerConfig, samples: int) -> int:
    """Any length is."""
    return samples


def memory_bytes(config: RoformerConfig, samples: int) -> int:
    """Working memory of one pass over `samples`, besides the weights; an upper bound."""
    lanes = 32  # the most that a panel holds
    frames = -(-(samples // config.hop + 1) // lanes) * lanes
    channels, padded = config.audio_channels, samples + 2 * config.n_fft
    # The song padded, also in float64; later estimates, sums, and in float64 their weights.
    leaving = len(config.stems) * channels * samples + (channels + 3) * padded
    panel = 8 * lanes * channels * config.n_fft
    transforms = max(3 * channels * padded, leaving) + panel
    # Of each thread: a head of one band, or of one panel; and some panels with hidden features.
    head = max(6 * frames, 3 * lanes * len(config.split)) * config.head_width
    hidden = config.width * max(4, config.mask_growth)
    each = head + 2 * lanes * frames + 16 * lanes * hidden + (1 << 17)
    return 4 * (_floats(config, frames) + transforms + get_threads() * each)


def _floats(config: RoformerConfig, frames: int) -> int:
    """Floats of the pool for so many frames, the empty ones of the last panel counted."""
    bands, parts = config.split, 2 * config.audio_channels
    spectrum = parts * (config.n_fft // 2 + 1)
    masks = parts * sum(count for _, count in bands)
    tokens = len(bands) * config.width * (2 if config.skips else 1)
    found = len(bands) * config.heads * config.head_width
    return frames * (spectrum + tokens + max(found, masks + spectrum)) + 256


class NativeRoformer:
    """(b c t) -> (b s c t) on arrays, the same as the network of torch to float32 accuracy.

    Args:
        config: for which `fits`.
        state: weights by name, as the network's `state_dict()` has them; any float type.
        threads: to compute on; None for as many as models run on in this process.
    """

    def __init__(
        self, config: Any, state: Mapping[str, np.ndarray], threads: int | None = None
    ) -> None:
        self.config = config
        self.threads = threads or get_threads()
        self._pool = Pool(0)
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

    def __call__(
        self,
        mixture: Float32[np.ndarray, "b c t"],
        memory: Float32[np.ndarray, " n"] | None = None,
    ) -> Float32[np.ndarray, "b s c t"]:
        """Separate songs, one after the other.

        Args:
            mixture: the songs.
            memory: for the estimates, if it is large enough.
        """
        batch, channels, samples = mixture.shape
        shape = (batch, len(self.config.stems), channels, samples)
        size = int(np.prod(shape))
        if memory is None or memory.size < size:
            memory = np.empty(size, np.float32)
        estimates = memory[:size].reshape(shape)
        needed = _floats(self.config, self._spectra.panels(samples) * kernels().panel)
        if self._pool.floats < needed:
            self._pool = Pool(needed)
        for song, stems in zip(mixture, estimates, strict=True):
            self._pool.forget()
            self._separate(song, stems)
        return estimates

    def _separate(
        self, song: Float32[np.ndarray, "c t"], stems: Float32[np.ndarray, "s c t"]
    ) -> None:
        pool, samples, lanes = self._pool, song.shape[1], kernels().panel
        panels, rows = self._spectra.panels(samples), 2 * len(song) * (self.config.n_fft // 2 + 1)
        spectrum = pool.tokens(panels, rows, lanes)
        self._spectra.enter(song, spectrum)
        tokens = pool.tokens(len(self.config.split), panels, self.config.width, lanes)
        self._embed(spectrum, tokens, self.threads)
        self._attend(Grid(tokens, self._spectra.frames(samples)))
        masks = pool.tokens(panels, self._masks[0].rows, lanes)
        masked = pool.tokens(panels, rows, lanes)
        for network, waves in zip(self._masks, stems, strict=True):
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
