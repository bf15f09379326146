"""TFC-TDF v3 as the kernels run it: what `TFCTDF.forward` computes, without torch."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping
from ctypes import Structure, c_int, c_long, c_void_p
from typing import TYPE_CHECKING

import numpy as np

from unbraid.engines.native.frame_spectra import Block as Frames
from unbraid.engines.native.frame_spectra import FrameSpectra
from unbraid.engines.native.library import kernels, pointer
from unbraid.engines.native.maps import (
    Entry,
    Filter3x3,
    Map,
    Mix,
    Norm,
    Rescale,
    RowsLinear,
    Together,
    filter_floats,
    rows_floats,
)
from unbraid.engines.native.network import NativeNetwork
from unbraid.engines.native.packing import pack
from unbraid.engines.native.sheets import Pool
from unbraid.engines.native.weights import Weights
from unbraid.shapes import Float32
from unbraid.threads import get_threads

if TYPE_CHECKING:
    from unbraid.models.tfc_tdf.config import TFCTDFConfig

_FRAMES = 32  # that are transformed together


class NativeTFCTDF(NativeNetwork):
    """`TFCTDF` on arrays."""

    def __init__(
        self,
        config: TFCTDFConfig,
        state: Mapping[str, np.ndarray],
        threads: int | None = None,
    ) -> None:
        super().__init__(config, threads)
        weights, levels = Weights(state), range(config.scales)
        self._spectra = FrameSpectra(config.n_fft, config.hop, config.n_fft, normalized=False)
        self._ends = _Ends(weights, config)
        encoders = [weights.under(f"encoder_blocks.{n}") for n in levels]
        decoders = [weights.under(f"decoder_blocks.{n}") for n in levels]
        self._down = [
            _rescale(part.under("downscale.conv"), config, growing=False) for part in encoders
        ]
        self._up = [_rescale(part.under("upscale.conv"), config, growing=True) for part in decoders]
        self._before = [_blocks(part.under("tfc_tdf"), config) for part in encoders]
        self._lowest = _blocks(weights.under("bottleneck_block"), config)
        self._behind = [_blocks(part.under("tfc_tdf"), config) for part in decoders]

    @staticmethod
    def fits(config: TFCTDFConfig) -> bool:
        """All of them."""
        return True

    @staticmethod
    def valid_samples(config: TFCTDFConfig, samples: int) -> int:
        """As `TFCTDF.valid_samples`."""
        return config.valid_samples(samples)

    @staticmethod
    def pool_floats(config: TFCTDFConfig, samples: int) -> int:
        """The spectrogram; of each level two maps and the hidden rows, the skips, and further up
        what comes from below."""
        frames = config.valid_samples(samples) // config.hop + 1
        numbers = range(config.scales + 1)
        sizes = [
            config.level_rows(n) * (frames // int(config.scale_time**n)) * config.level_width(n)
            for n in numbers
        ]
        hidden = [
            size * (config.level_rows(n) // config.bottleneck) // config.level_rows(n)
            for n, size in enumerate(sizes)
        ]
        spectrum = 2 * config.audio_channels * config.used_bins * frames
        needs = [2 * sizes[0] + spectrum * len(config.stems)]  # the place of a skip is in between
        for n in numbers:
            inside = 2 * sizes[n] + hidden[n]
            if n < config.scales:
                inside = max(sizes[n] + inside, 2 * sizes[n] + sizes[n + 1])
            needs.append(sum(sizes[:n]) + inside)
        return spectrum + max(needs) + 16 * (config.scales + 4)

    @staticmethod
    def other_floats(config: TFCTDFConfig, samples: int) -> int:
        """Waves in and out, mixed weights, and what the threads hold."""
        padded = config.valid_samples(samples) + config.n_fft
        # The song padded, also in float64; later estimates and their sums.
        waves = (4 + 2 * len(config.stems)) * config.audio_channels * padded + padded
        waves += 8 * _FRAMES * len(config.stems) * config.audio_channels * config.n_fft
        frames = config.valid_samples(samples) // config.hop + 1
        levels = range(config.scales + 1)
        return waves + max(_level_floats(config, level, frames) for level in levels)

    def separate(
        self, song: Float32[np.ndarray, "c t"], estimates: Float32[np.ndarray, "s c t"]
    ) -> None:
        """Down all levels and up again. Maps that become each other take turns at the two ends of
        the pool, so that what is free lies in one piece."""
        pool, threads = self._pool, self.threads
        spectrum = self._enter(song)
        x, skips = self._ends.enter(spectrum, pool, threads), []
        for blocks, down in zip(self._before, self._down, strict=True):
            for block in blocks:
                x = block([x], pool, threads)
            skips.append(x)
            x = down(x, pool, threads, lasting=True)
        for block in self._lowest:
            x = block([x], pool, threads)
        lasting = False
        for blocks, up in zip(self._behind, self._up, strict=True):
            below, x = x, up(x, pool, threads, lasting=lasting)
            pool.give(below.values)
            maps, lasting = [x, skips.pop()], not lasting
            for block in blocks:
                x = block(maps, pool, threads)
                maps = [x]
        out = self._ends.leave(spectrum, x, pool, threads)
        self._spectra.add_up(_some_frames(out), estimates.reshape(-1, song.shape[1]))

    def _enter(self, song: Float32[np.ndarray, "c t"]) -> np.ndarray:
        """(used_bins, frames, 2 * channels): real and imaginary part of each channel."""
        channels, used = len(song), self.config.used_bins
        spectrum = self._pool.tokens(used, self._spectra.frames(song.shape[1]), 2 * channels)
        for first, some in self._spectra.blocks(song, _FRAMES):
            parts = np.ascontiguousarray(some[..., :used].transpose(2, 1, 0)).view(np.float32)
            spectrum[:, first : first + some.shape[1]] = parts
        return spectrum


class _Block:
    """Convolution, a narrow pair of linear maps along rows, convolution; a shortcut around."""

    def __init__(self, weights: Weights, config: TFCTDFConfig) -> None:
        def norm(name: str) -> Norm:
            return _norm(weights.under(name), config)

        def stored(name: str) -> np.ndarray:
            return weights.stored(f"{name}.weight")

        self._bottleneck = config.bottleneck
        self._first = Filter3x3(norm("tfc1.0"), stored("tfc1.2"), adding=False)
        self._narrow = RowsLinear(norm("tdf.0"), stored("tdf.2"), adding=False)
        self._wide = RowsLinear(norm("tdf.3"), stored("tdf.5"), adding=True)
        self._last = Filter3x3(norm("tfc2.0"), stored("tfc2.2"), adding=True)
        self._shortcut = Mix(stored("shortcut"))

    def __call__(self, maps: Together, pool: Pool, threads: int) -> Map:
        """Into the memory of the first map; the other one goes back to the pool."""
        rows, steps, width = maps[0].values.shape
        y = Map.of(pool, rows, steps, width)
        self._first(maps, y, threads)
        hidden = Map.of(pool, rows // self._bottleneck, steps, width)
        self._narrow(y, hidden, threads)
        self._wide(hidden, y, threads)
        pool.give(hidden.values)
        out = self._shortcut(maps, threads)
        self._last([y], out, threads)
        pool.give(y.values, *(other.values for other in maps[1:]))
        return out


class _MapEnds(Structure):
    """`MapEnds` of map_rows.hpp."""

    _fields_ = [
        *((name, c_void_p) for name in ("enter", "mix", "leave")),
        ("entry", Entry),
        *((name, c_int) for name in ("bands", "parts", "outs", "width")),
        *((name, c_long) for name in ("rows", "steps")),
    ]


class _Ends:
    """From a spectrum to the first map, and from the last one to spectra of the stems."""

    def __init__(self, weights: Weights, config: TFCTDFConfig) -> None:
        bands, stems, width = config.subbands, len(config.stems), config.width
        norm = Norm(Weights({}), "none", 0, config.activation, config.elu_alpha)
        self._entry = norm.plain(width)
        # Weights count subbands last, a spectrum's rows have them first.
        first = _by_band(weights["first_conv.weight"][:, :, 0, 0], 1, bands)
        mix = weights["final_conv.0.weight"][:, :, 0, 0]
        parts = first.shape[1]
        mix = np.concatenate([_by_band(mix[:, :parts], 1, bands), mix[:, parts:]], axis=1)
        leave = _by_band(weights["final_conv.2.weight"][:, :, 0, 0], 0, bands)
        self._packed = [pack(weight.T[None]) for weight in (first, mix, leave)]
        self._shape = (bands, parts // bands, stems * parts // bands, width)

    def _struct(self, spectrum: np.ndarray) -> _MapEnds:
        rows = len(spectrum) // self._shape[0]
        where = (pointer(packed) for packed in self._packed)
        return _MapEnds(*where, self._entry, *self._shape, rows, spectrum.shape[1])

    def enter(self, spectrum: np.ndarray, pool: Pool, threads: int) -> Map:
        """The first map of (bins, frames, parts)."""
        of = self._struct(spectrum)
        x = Map.of(pool, of.rows, of.steps, of.width, lasting=True)
        to = (pointer(x.values), pointer(x.sums))
        kernels().enter_map(ctypes.byref(of), pointer(spectrum), *to, threads)
        return x

    def leave(self, spectrum: np.ndarray, x: Map, pool: Pool, threads: int) -> np.ndarray:
        """(bins, frames, stems * parts) of the mixture's spectrum and the last map."""
        of = self._struct(spectrum)
        out = pool.tokens(len(spectrum), of.steps, of.outs)
        seen = (pointer(spectrum), pointer(x.values))
        kernels().leave_map(ctypes.byref(of), *seen, pointer(out), threads)
        return out


def _by_band(weight: np.ndarray, axis: int, bands: int) -> np.ndarray:
    """Rows or columns that count bands fastest, in an order that counts them slowest."""
    shape = list(weight.shape)
    shape[axis : axis + 1] = [-1, bands]
    turned: np.ndarray = weight.reshape(shape).swapaxes(axis, axis + 1).reshape(weight.shape)
    return turned


def _norm(weights: Weights, config: TFCTDFConfig) -> Norm:
    activation = (config.activation, config.elu_alpha)
    return Norm(weights, config.norm, config.norm_groups, *activation)


def _blocks(weights: Weights, config: TFCTDFConfig) -> list[_Block]:
    return [_Block(weights.under(f"blocks.{n}"), config) for n in range(config.blocks)]


def _rescale(weights: Weights, config: TFCTDFConfig, *, growing: bool) -> Rescale:
    return Rescale(_norm(weights.under("0"), config), weights["2.weight"], growing=growing)


def _some_frames(spectra: Float32[np.ndarray, "bins frames parts"]) -> Iterator[Frames]:
    """As complex numbers (signals, frames, bins), some frames at a time."""
    for first in range(0, spectra.shape[1], _FRAMES):
        some = np.ascontiguousarray(spectra[:, first : first + _FRAMES]).view(np.complex64)
        yield first, some.transpose(2, 1, 0)


def _level_floats(config: TFCTDFConfig, level: int, frames: int) -> int:
    """What layers of a level hold besides their maps."""
    frames //= int(config.scale_time**level)
    rows, width = config.level_rows(level), config.level_width(level)
    ins = width if level == config.scales else 2 * width
    shared, each = filter_floats(ins, width, rows, frames)
    # Of each thread: rows before and behind a change of the resolution, or at the ends.
    bands = 2 * config.audio_channels * config.subbands
    run = frames * (config.scale_frequency + 1) * (width + config.growth)
    ends = frames * (2 * width + (2 + len(config.stems)) * bands)
    threads = get_threads() * (each + max(run, ends, rows_floats(rows)))
    return shared + threads + 8 * rows * width  # the last for sums of features
