"""`BandUNet` without torch: the figure of `models/band_unet/network.py`, on arrays.

Images are (bands, frames, features): the pixels under a kernel lie side by side, and a dense layer
over the bands is one product. Norms are folded into the convolutions before them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from jaxtyping import Complex64, Float32

from unbraid.engines.numpy.products import make_products
from unbraid.models.band_unet.config import BandUNetConfig

FLOOR, AROUND = 1e-4, 17
_ROWS = 8
"""Rows of an image that a thread takes at once."""
_FRAMES = 32
Spread = Callable[[Callable[[Any], None], Iterable[Any]], None]


def why_not(config: BandUNetConfig) -> str | None:
    """Why a model is not run here, in a few words; None if it is."""
    return None if config.audio_channels == 2 else "a network of one channel runs in torch"


def pass_bytes(config: BandUNetConfig, samples: int) -> int:
    """Memory of one pass, an upper bound: images of all levels, spectra, masks, estimates."""
    frames, bins = samples // config.hop + 2, config.n_fft // 2 + 1
    images = sum(4 * width * (config.bands >> level) for level, width in enumerate(config.channels))
    shares = len(config.stems) * 2 * bins
    signals = 2 * samples * (2 * len(config.stems) + 2)
    return 4 * (frames * (images + shares + 8 * bins) + signals) + (32 << 20)


class ArrayBandUNet:
    """The whole model.

    Args:
        config: for which `why_not` is None.
        weights: by the names of the network of torch.
    """

    def __init__(self, config: BandUNetConfig, weights: Mapping[str, np.ndarray]) -> None:
        self.config = config
        w = {name: values.astype(np.float32) for name, values in weights.items()}
        self._scale, self._shift = (w[k].transpose(1, 2, 0) for k in ("scale", "shift"))
        self._enter = _Conv(w, "enter")
        levels = range(len(config.channels))
        self._encoder = [_Level(w, f"encoder.{level}.") for level in levels]
        self._decoder = [_Level(w, f"decoder.{level}.") for level in levels]
        self._down = [_folded(w, f"down.{level}", 0) for level in levels[:-1]]
        self._up = [_folded(w, f"up.{level}", 1) for level in levels[:-1]]
        self._memory = _Memory(w)
        self._leave = w["leave.weight"][:, :, 0, 0].T.copy(), w["leave.bias"]

    def separate(
        self, mixture: Float32[np.ndarray, "2 t"], wanted: Iterable[int], threads: int
    ) -> Float32[np.ndarray, "s 2 t"]:
        """Estimates of one song; stems that are not wanted are silent."""
        config, samples = self.config, mixture.shape[-1]
        estimates = np.zeros((len(config.stems), 2, samples), np.float32)
        with ThreadPoolExecutor(threads, "unbraid-masks") as pool:

            def spread(function: Callable[[Any], None], items: Iterable[Any]) -> None:
                list(pool.map(function, items))

            spectrum = np.stack(list(pool.map(lambda c: _stft(c, config.n_fft), mixture)))
            masks = self._masks(_features(spectrum, config.edges), spread)

            def back(place: tuple[int, int]) -> None:
                stem, channel = place
                own = np.ascontiguousarray(masks[..., 2 * stem + channel].T)
                estimates[place] = _shared(own, spectrum[channel], config, samples)

            spread(back, [(stem, channel) for stem in wanted for channel in range(2)])
        return estimates

    def _masks(
        self, features: Float32[np.ndarray, "f n p"], spread: Spread
    ) -> Float32[np.ndarray, "f n sc"]:
        """Shares of the stems in each band; stems before channels in the last axis."""
        x = _relu(self._enter(features * self._scale + self._shift, spread))
        skips = []
        for level, (kernel, bias) in zip(self._encoder[:-1], self._down, strict=True):
            skips.append(level(x, spread))
            even, odd = skips[-1][0::2], skips[-1][1::2]
            x = _relu(even @ kernel[0] + odd @ kernel[1] + bias)
        x = self._decoder[-1](self._memory(self._encoder[-1](x, spread)), spread)
        for number in range(len(self._up) - 1, -1, -1):
            kernel, bias = self._up[number]
            wide = skips[number].copy()
            for side in range(2):
                wide[side::2] += _relu(x @ kernel[side] + bias)
            x = self._decoder[number](wide, spread)
        weight, bias = self._leave
        logits = (x @ weight + bias).reshape(*x.shape[:2], len(self.config.stems), 2)
        logits -= logits.max(2, keepdims=True)
        masks = np.exp(logits)
        masks /= masks.sum(2, keepdims=True)
        result: np.ndarray = masks.reshape(*x.shape[:2], -1)
        return result


class _Conv:
    """A convolution of 3x3 with its norm, on (bands, frames, features)."""

    def __init__(self, w: Mapping[str, np.ndarray], name: str) -> None:
        weight, bias = _norm(w, name)
        kernel = w[f"{name}.0.weight"] * weight[:, None, None, None]
        self.outs, self.ins = kernel.shape[:2]
        self._product = make_products([kernel.transpose(2, 3, 1, 0).reshape(-1, self.outs)])
        self._bias = bias

    def __call__(self, x: Float32[np.ndarray, "f n c"], spread: Spread) -> np.ndarray:
        bands, frames = x.shape[:2]
        padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
        row, pixel, item = padded.strides
        seen = np.lib.stride_tricks.as_strided(
            padded, (bands, frames, 3, 3 * self.ins), (row, pixel, row, item)
        )
        out = np.empty((bands, frames, self.outs), np.float32)
        depth = 9 * self.ins

        def run(rows: slice) -> None:
            made = np.ascontiguousarray(seen[rows]).reshape(1, -1)
            count = made.size // depth
            to = out[rows].reshape(1, -1)
            self._product(made, depth, count, to, 0, self.outs)
            to.reshape(-1, self.outs)[...] += self._bias

        spread(run, [slice(at, at + _ROWS) for at in range(0, bands, _ROWS)])
        return out


class _Level:
    """Two convolutions, then two dense layers over the bands, each around a shortcut."""

    def __init__(self, w: Mapping[str, np.ndarray], name: str) -> None:
        self._first, self._second = _Conv(w, f"{name}first"), _Conv(w, f"{name}second")
        self._dense = [
            (w[f"{name}{part}.weight"], w[f"{name}{part}.bias"][:, None])
            for part in ("narrow", "widen")
        ]

    def __call__(self, x: Float32[np.ndarray, "f n c"], spread: Spread) -> np.ndarray:
        x = x + self._second(_relu(self._first(x, spread)), spread)
        (narrow, below), (widen, above) = self._dense
        flat = x.reshape(len(x), -1)

        def run(columns: slice) -> None:
            part = flat[:, columns]
            part += widen @ _relu(narrow @ part + below) + above

        step = _FRAMES * x.shape[2]
        spread(run, [slice(at, at + step) for at in range(0, flat.shape[1], step)])
        return x


class _Memory:
    """A recurrent layer along time, both ways, over all bands."""

    def __init__(self, w: Mapping[str, np.ndarray]) -> None:
        self._read, self._write = (
            (w[f"memory.{part}.weight"].T.copy(), w[f"memory.{part}.bias"])
            for part in ("read", "write")
        )
        self._ways = [
            tuple(w[f"memory.gru.{k}_l0{way}"].T.copy() for k in _GRU) for way in ("", "_reverse")
        ]

    def __call__(self, x: Float32[np.ndarray, "f n c"]) -> np.ndarray:
        bands, frames, width = x.shape
        # The network reads features first, then bands.
        flat = x.transpose(1, 2, 0).reshape(frames, width * bands)
        heard = _relu(flat @ self._read[0] + self._read[1])
        there = _gru(heard, *self._ways[0])
        back = _gru(heard[::-1], *self._ways[1])[::-1]
        said = np.concatenate([there, back], 1) @ self._write[0] + self._write[1]
        result: np.ndarray = x + said.reshape(frames, width, bands).transpose(2, 0, 1)
        return result


_GRU = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _gru(
    x: np.ndarray, w_in: np.ndarray, w_own: np.ndarray, b_in: np.ndarray, b_own: np.ndarray
) -> np.ndarray:
    """One direction: (steps, inputs) -> (steps, units); reset, update and new value as in torch."""
    entered, units = x @ w_in + b_in, len(w_own)
    state = np.zeros(units, np.float32)
    states = np.empty((len(x), units), np.float32)
    for step, coming in enumerate(entered):
        own = state @ w_own + b_own
        gates = 1 / (1 + np.exp(-(coming[: 2 * units] + own[: 2 * units])))
        reset, update = gates[:units], gates[units:]
        fresh = np.tanh(coming[2 * units :] + reset * own[2 * units :])
        state = fresh + update * (state - fresh)
        states[step] = state
    return states


def _norm(w: Mapping[str, np.ndarray], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Factor and offset of a norm."""
    weight, bias, mean, var = (
        w[f"{name}.1.{k}"].astype(np.float64)
        for k in ("weight", "bias", "running_mean", "running_var")
    )
    factor = weight / np.sqrt(var + 1e-5)
    return factor.astype(np.float32), (bias - mean * factor).astype(np.float32)


def _folded(w: Mapping[str, np.ndarray], name: str, outs: int) -> tuple[np.ndarray, np.ndarray]:
    """A convolution over pairs of bands as (2, in, out), and its bias; `outs`: axis of features."""
    factor, bias = _norm(w, name)
    kernel = np.moveaxis(w[f"{name}.0.weight"][..., 0], outs, -1)  # (in, 2, out)
    return np.ascontiguousarray(kernel.transpose(1, 0, 2) * factor), bias


def _relu(x: np.ndarray) -> np.ndarray:
    """In place."""
    result: np.ndarray = np.maximum(x, 0, out=x)
    return result


def _features(
    spectrum: Complex64[np.ndarray, "2 n bins"], edges: tuple[int, ...]
) -> Float32[np.ndarray, "f n p"]:
    """What the network reads: (bands, frames, planes)."""
    starts = np.asarray(edges[:-1])
    left, right = spectrum
    own = np.stack([_banded(z.real**2 + z.imag**2, starts) for z in spectrum])
    shared = _banded(left.real * right.real + left.imag * right.imag, starts)
    mean = np.float32(own.mean(dtype=np.float64) + 1e-20)
    loud = np.log(own / mean + np.float32(FLOOR)) * np.float32(0.5)
    level = np.log(own.mean(0) / mean + np.float32(FLOOR)) * np.float32(0.5)
    width = shared / (np.sqrt(own[0] * own[1]) + np.float32(FLOOR) * mean)
    planes = [*loud, level - _around(level, 0), level - _around(level, 1), width]
    return np.ascontiguousarray(np.stack(planes).transpose(2, 1, 0))


def _banded(bins: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Sums over the bins of each band: (n, bins) -> (n, f)."""
    return np.add.reduceat(bins, starts, axis=1)


def _around(level: np.ndarray, axis: int) -> np.ndarray:
    """Means over `AROUND` neighbours, fewer at the ends."""
    sums = np.cumsum(level, axis, dtype=np.float64)
    sums = np.concatenate([np.zeros_like(np.take(sums, [0], axis)), sums], axis)
    places = np.arange(level.shape[axis])
    first = np.maximum(places - AROUND // 2, 0)
    last = np.minimum(places + AROUND // 2 + 1, level.shape[axis])
    total = np.take(sums, last, axis) - np.take(sums, first, axis)
    counts = (last - first).reshape((-1, 1) if axis == 0 else (1, -1))
    result: np.ndarray = (total / counts).astype(np.float32)
    return result


def _stft(signal: Float32[np.ndarray, " t"], n_fft: int) -> Complex64[np.ndarray, "n f"]:
    """Half-overlapping frames under a sine window; the first begins half before the signal."""
    hop = n_fft // 2
    padded = np.zeros(-(-len(signal) // hop) * hop + n_fft, np.float32)
    padded[hop : hop + len(signal)] = signal
    framed = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
    return np.fft.rfft(framed * _window(n_fft)).astype(np.complex64, copy=False)


def _shared(
    masks: Float32[np.ndarray, "n f"],
    spectrum: Complex64[np.ndarray, "n bins"],
    config: BandUNetConfig,
    samples: int,
) -> Float32[np.ndarray, " t"]:
    """The signal that a stem's masks leave of one channel."""
    hop = config.hop
    below, above, weight = _places(config.edges)
    signal = np.zeros((len(spectrum) + 1) * hop, np.float32)
    for first in range(0, len(spectrum), _FRAMES):
        some = masks[first : first + _FRAMES]
        low = some[:, below]
        shares = low + weight * (some[:, above] - low)
        framed = np.fft.irfft(shares * spectrum[first : first + _FRAMES], config.n_fft)
        for number, frame in enumerate(framed.astype(np.float32) * _window(config.n_fft)):
            at = (first + number) * hop
            signal[at : at + config.n_fft] += frame
    return signal[hop : hop + samples]


@functools.lru_cache(maxsize=4)
def _places(edges: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each bin the bands whose middles are around it, and where it lies between, 0 to 1."""
    at = np.asarray(edges, np.float32)
    middles = (at[:-1] + at[1:] - 1) / 2
    bins = np.arange(edges[-1], dtype=np.float32)
    above = np.searchsorted(middles, bins).clip(1, len(middles) - 1)
    weight = (bins - middles[above - 1]) / (middles[above] - middles[above - 1])
    return above - 1, above, weight.clip(0, 1).astype(np.float32)


@functools.lru_cache(maxsize=4)
def _window(n_fft: int) -> Float32[np.ndarray, " w"]:
    middles = np.arange(n_fft) + 0.5
    return np.sin(np.pi * middles / n_fft).astype(np.float32)
