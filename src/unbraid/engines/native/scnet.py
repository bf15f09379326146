"""SCNet as the kernels run it: what `SCNet.forward` computes, without torch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from unbraid.engines.native.bands import BandDown, BandUp, Map3x3
from unbraid.engines.native.library import kernels, pointer
from unbraid.engines.native.network import NativeNetwork
from unbraid.engines.native.norms import standardize
from unbraid.engines.native.paths import SeparationNet
from unbraid.engines.native.plain_spectra import PlainSpectra
from unbraid.engines.native.sheets import Pool
from unbraid.engines.native.spectra import HOPS
from unbraid.engines.native.spectrum_masks import MaskLayer, apply_masks
from unbraid.engines.native.weights import Weights
from unbraid.shapes import Float32
from unbraid.threads import get_threads

if TYPE_CHECKING:
    from unbraid.models.scnet.config import SCNetConfig

_UNITS = 16  # an LSTM has whole vectors of these, whatever the processor


class NativeSCNet(NativeNetwork):
    """`SCNet` on arrays."""

    def __init__(
        self,
        config: SCNetConfig,
        state: Mapping[str, np.ndarray],
        threads: int | None = None,
    ) -> None:
        super().__init__(config, threads)
        self._spectra = PlainSpectra(config.n_fft, hann=config.masks, normalized=config.normalized)
        weights = Weights(state)
        self._masks = None
        if config.masks:
            self._position = np.ascontiguousarray(weights["pos_embed_f"][0].transpose(1, 2, 0))
            self._masks = MaskLayer(weights.under("mask_layer"))
        levels = list(enumerate(config.band_rows()))
        self._encoder = [
            _Encoder(weights.under(f"encoder.{n}"), config, *rows) for n, rows in levels
        ]
        self._core = SeparationNet(weights.under("separation_net"))
        self._decoder = [
            _Decoder(weights.under(f"decoder.{len(levels) - 1 - n}"), config, *rows, adding=n > 0)
            for n, rows in reversed(levels)
        ]

    @staticmethod
    def fits(config: SCNetConfig) -> bool:
        """Models of any size, with LSTMs as wide as what they see."""
        bands = zip(config.band_kernels, config.band_strides, strict=True)
        return (
            config.n_fft == config.window == HOPS * config.hop
            and math.log(config.n_fft, 4).is_integer()
            and all(stride in (1, kernel) for kernel, stride in bands)
            and all(width % 2 == 0 for width in config.widths)
            and config.widths[-1] % _UNITS == 0
            and config.expansion == 1
        )

    @staticmethod
    def pool_floats(config: SCNetConfig, samples: int) -> int:
        """The needs of each level, and the skips kept meanwhile."""
        frames = _padded(config, samples) // config.hop + 1
        rows = [config.n_fft // 2 + 1, *(sum(after) for _, after in config.band_rows())]
        outer = config.widths[0] * len(config.stems)
        maps = [a * frames * b for a, b in zip(rows, config.widths, strict=True)]
        inner = maps[-1] + rows[-1] * 2 * config.widths[-1]  # as its Fourier transform
        needs = [sum(maps[1:]) + 4 * inner]
        for level in range(1, len(maps)):
            kept = sum(maps[1:level])
            before = maps[level - 1] if level > 1 else maps[0]
            after = maps[level - 1] if level > 1 else rows[0] * frames * outer
            needs += [
                kept + before + 2 * maps[level],
                kept + 2 * maps[level] + (level == 1) * after,
            ]
        if config.masks:
            # The mixture's spectrogram stays, and masks need as much as what they are made of.
            needs.append(2 * rows[0] * frames * outer + MaskLayer.floats(frames))
        kept = maps[0] if config.masks else 0
        return int(1.05 * (max(needs) + kept)) + (1 << 18)

    @staticmethod
    def other_floats(config: SCNetConfig, samples: int) -> int:
        """The song padded, then reflected; the estimates; and what the threads hold."""
        padded = _padded(config, samples)
        waves = padded + 2 * (padded + config.n_fft) + len(config.stems) * samples
        # Of each thread: a row in a module, as a Fourier transform, and some sequences of an LSTM.
        frames = padded // config.hop + 1 + config.conv_kernel
        hidden = [-(-int(w / config.compression) // _UNITS) * _UNITS for w in config.widths]
        module = max(w + 2 * h for w, h in zip(config.widths, hidden, strict=True))
        each = frames * (module + 6 * _UNITS) + 704 * config.widths[-1]
        return config.audio_channels * waves + get_threads() * each

    def separate(
        self, song: Float32[np.ndarray, "c t"], estimates: Float32[np.ndarray, "s c t"]
    ) -> None:
        """Down all levels, through the layers along time and frequency, and up again."""
        pool, threads, samples = self._pool, self.threads, song.shape[1]
        padded = np.pad(song, ((0, 0), (0, _padded(self.config, samples) - samples)))
        x = self._spectra.enter(padded, pool, threads)
        spectrum = None
        if self._masks is not None:
            spectrum = pool.tokens(*x.shape, lasting=True)
            spectrum[:] = x
        mean, std = self._standardized(x)
        if self._masks is not None:
            x += self._position
        skips = []
        for encoder in self._encoder:
            x, skip = encoder(x, pool, threads)
            skips.append(skip)
        x = self._core(x, pool, threads)
        skip = skips.pop()
        kernels().add(pointer(skip), pointer(x), x.size, threads)
        pool.give(x)
        # What a decoder makes is added to the skip that the next one takes.
        x = skip
        for decoder in self._decoder:
            x = decoder(x, skips.pop() if skips else None, pool, threads)
        if self._masks is not None:
            x = self._masks(x, pool, threads)
        if self.config.standardize:
            x *= np.float32(std)
            x += np.float32(mean)
        if spectrum is not None:
            apply_masks(x, spectrum)
            pool.give(spectrum)
        self._spectra.leave(x, estimates.reshape(-1, samples), threads)
        pool.give(x)

    def _standardized(self, x: Float32[np.ndarray, "f n c"]) -> tuple[float, float]:
        """Bring x to mean 0 and deviation 1 where the model wants it; what they were."""
        if not self.config.standardize:
            return 0.0, 1.0
        return standardize(pointer(x), (*x.shape, x[0].size), self.threads)


class _Encoder:
    """One level down: (rows, steps, outer) -> output and skip, both (rows, steps, width)."""

    def __init__(
        self,
        weights: Weights,
        config: SCNetConfig,
        before: tuple[int, ...],
        after: tuple[int, ...],
    ) -> None:
        self._before, self._after = _slices(before), _slices(after)
        self._bands = [
            BandDown(
                weights.under(f"SDlayer.convs.{n}"),
                weights.under(f"conv_modules.{n}"),
                stride,
            )
            for n, stride in enumerate(config.band_strides)
        ]
        whole = weights.under("globalconv")
        self._width = len(whole.stored("weight"))
        self._whole = Map3x3(whole.stored("weight"), whole["bias"], gated=False)

    def __call__(
        self, x: Float32[np.ndarray, "f n o"], pool: Pool, threads: int
    ) -> tuple[Float32[np.ndarray, "f2 n w"], Float32[np.ndarray, "f2 n w"]]:
        shape = (self._after[-1].stop, x.shape[1], self._width)
        skip = pool.tokens(*shape, lasting=True)
        for band, before, after in zip(self._bands, self._before, self._after, strict=True):
            band(x[before], skip[after], threads)
        pool.give(x)
        out = pool.tokens(*shape)
        self._whole(skip, out, threads)
        return out, skip


class _Decoder:
    """One level up: (rows, steps, width) -> (rows, steps, outer)."""

    def __init__(
        self,
        weights: Weights,
        config: SCNetConfig,
        before: tuple[int, ...],
        after: tuple[int, ...],
        *,
        adding: bool,
    ) -> None:
        self._before, self._after = _slices(before), _slices(after)
        fuse = weights.under("0.conv")
        kernel = fuse["weight"]  # of the same features twice
        half = kernel.shape[1] // 2
        self._fuse = Map3x3(kernel[:, :half] + kernel[:, half:], fuse["bias"], gated=True)
        self._bands = [
            BandUp(weights.under(f"1.convtrs.{n}"), stride, adding=adding)
            for n, stride in enumerate(config.band_strides)
        ]

    def __call__(
        self,
        x: Float32[np.ndarray, "f n w"],
        skip: Float32[np.ndarray, "f2 n o"] | None,
        pool: Pool,
        threads: int,
    ) -> Float32[np.ndarray, "f2 n o"]:
        """`x` with its skip; it goes back to the pool. Added to the next skip, if there is one."""
        y = pool.tokens(*x.shape)
        self._fuse(x, y, threads)
        pool.give(x)
        out = skip
        if out is None:
            shape = self._before[-1].stop, x.shape[1], self._bands[0].outer
            out = pool.tokens(*shape, lasting=True)
        for band, before, after in zip(self._bands, self._before, self._after, strict=True):
            band(y[after], out[before], threads)
        pool.give(y)
        return out


def _slices(rows: tuple[int, ...]) -> list[slice]:
    """Bands that follow each other."""
    ends = np.cumsum([0, *rows]).tolist()
    return [slice(start, stop) for start, stop in itertools.pairwise(ends)]


def _padded(config: SCNetConfig, samples: int) -> int:
    """Samples with the zeros that make the number of frames even."""
    hops = samples // config.hop + 1
    return (hops + 1 - hops % 2) * config.hop
