"""`BandUNet` without torch: the figure of `models/band_unet/network.py`, on arrays.

Images are (bands, frames, features): the pixels under a kernel lie side by side, and a dense layer
over the bands is one product. Norms are folded into the convolutions before them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from unbraid.engines.numpy.conv import make_conv
from unbraid.engines.numpy.gru import make_gru
from unbraid.engines.numpy.team import Team, team_of
from unbraid.models.band_unet.config import BandUNetConfig
from unbraid.shapes import Complex64, Float32

FLOOR, AROUND = 1e-4, 17
_FRAMES = 32
_BANDS = 16
"""Bands that a thread takes at once."""


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
        self._enter = _conv(w, "enter", adding=False)
        levels = range(len(config.channels))
        self._encoder = [_Level(w, f"encoder.{level}.") for level in levels]
        self._decoder = [_Level(w, f"decoder.{level}.") for level in levels]
        self._down = [_folded(w, f"down.{level}", 0) for level in levels[:-1]]
        self._up = [_folded(w, f"up.{level}", 1) for level in levels[:-1]]
        self._memory = _Memory(w)
        self._leave = w["leave.weight"][:, :, 0, 0].copy(), w["leave.bias"][:, None]

    def separate(
        self, mixture: Float32[np.ndarray, "2 t"], wanted: Iterable[int], threads: int
    ) -> Float32[np.ndarray, "s 2 t"]:
        """Estimates of one song; stems that are not wanted are silent."""
        config, samples = self.config, mixture.shape[-1]
        estimates = np.zeros((len(config.stems), 2, samples), np.float32)
        with team_of(threads) as team:
            spectrum = np.stack(team.spread(lambda c: _stft(c, config.n_fft), mixture))
            masks = self._masks(_features(spectrum, config.edges), team)

            def back(place: tuple[int, int]) -> None:
                _, channel = place
                own = np.ascontiguousarray(masks[place].T)
                estimates[place] = _shared(own, spectrum[channel], config, samples)

            team.spread(back, [(stem, channel) for stem in wanted for channel in range(2)])
        return estimates

    def _masks(
        self, features: Float32[np.ndarray, "f n p"], team: Team
    ) -> Float32[np.ndarray, "s c f n"]:
        """Shares of the stems in each band."""
        x = self._enter(features * self._scale + self._shift, None, team)
        skips = []
        for level, (kernel, bias) in zip(self._encoder[:-1], self._down, strict=True):
            skips.append(level(x, team))
            x = _lowered(skips[-1], kernel, bias, team)
        x = self._decoder[-1](self._memory(self._encoder[-1](x, team), team), team)
        for number in range(len(self._up) - 1, -1, -1):
            kernel, bias = self._up[number]
            x = self._decoder[number](_raised(x, skips[number], kernel, bias, team), team)
        return self._split(x, team)

    def _split(
        self, x: Float32[np.ndarray, "f n c"], team: Team
    ) -> Float32[np.ndarray, "s c2 f n"]:
        """The last layer, and softmax over the stems."""
        weight, bias = self._leave
        masks = np.empty((len(self.config.stems), 2, *x.shape[:2]), np.float32)

        def run(bands: slice) -> None:
            near = x[bands]
            logits = weight @ near.reshape(-1, x.shape[2]).T + bias
            logits = logits.reshape(-1, 2, *near.shape[:2])
            logits -= logits.max(0)
            np.exp(logits, out=logits)
            np.divide(logits, logits.sum(0), out=masks[:, :, bands])

        team.by_rows(run, len(x), _BANDS)
        return masks


def _lowered(
    x: Float32[np.ndarray, "f n c"], kernel: np.ndarray, bias: np.ndarray, team: Team
) -> Float32[np.ndarray, "half n o"]:
    """Pairs of bands become one."""
    out = np.empty((len(x) // 2, x.shape[1], kernel.shape[2]), np.float32)

    def run(bands: slice) -> None:
        made = x[0::2][bands] @ kernel[0]
        made += x[1::2][bands] @ kernel[1]
        made += bias
        np.maximum(made, 0, out=out[bands])

    team.by_rows(run, len(out), _BANDS)
    return out


def _raised(
    x: Float32[np.ndarray, "f n c"], skip: np.ndarray, kernel: np.ndarray, bias: np.ndarray,
    team: Team,
) -> Float32[np.ndarray, "double n o"]:  # fmt: skip
    """Each band becomes a pair, which is added to the skip."""
    out = np.empty_like(skip)

    def run(bands: slice) -> None:
        for side in range(2):
            made = x[bands] @ kernel[side]
            made += bias
            np.add(_relu(made), skip[side::2][bands], out=out[side::2][bands])

    team.by_rows(run, len(x), _BANDS)
    return out


def _conv(w: Mapping[str, np.ndarray], name: str, *, adding: bool) -> Any:
    """A convolution of 3x3 with its norm."""
    weight, bias = _norm(w, name)
    return make_conv(w[f"{name}.0.weight"] * weight[:, None, None, None], bias, adding=adding)


class _Level:
    """Two convolutions, then two dense layers over the bands, each around a shortcut."""

    def __init__(self, w: Mapping[str, np.ndarray], name: str) -> None:
        self._first = _conv(w, f"{name}first", adding=False)
        self._second = _conv(w, f"{name}second", adding=True)
        self._dense = [
            (w[f"{name}{part}.weight"], w[f"{name}{part}.bias"][:, None])
            for part in ("narrow", "widen")
        ]

    def __call__(self, x: Float32[np.ndarray, "f n c"], team: Team) -> np.ndarray:
        """Writes to `x`, and returns it."""
        self._second(self._first(x, None, team), x, team)
        (narrow, below), (widen, above) = self._dense
        flat = x.reshape(len(x), -1)

        def run(columns: slice) -> None:
            part = flat[:, columns]
            part += widen @ _relu(narrow @ part + below) + above

        team.by_rows(run, flat.shape[1], _FRAMES * x.shape[2])
        return x


class _Memory:
    """A recurrent layer along time, both ways, over all bands."""

    def __init__(self, w: Mapping[str, np.ndarray]) -> None:
        self._read, self._write = (
            (w[f"memory.{part}.weight"].T.copy(), w[f"memory.{part}.bias"])
            for part in ("read", "write")
        )
        self._gru = make_gru(
            *({k: w[f"memory.gru.{k}_l0{way}"] for k in _GRU} for way in ("", "_reverse"))
        )

    def __call__(self, x: Float32[np.ndarray, "f n c"], team: Team) -> np.ndarray:
        bands, frames, width = x.shape
        # The network reads features first, then bands.
        flat = x.transpose(1, 2, 0).reshape(frames, width * bands)
        heard = _relu(flat @ self._read[0] + self._read[1])
        said = self._gru(heard, team.threads) @ self._write[0] + self._write[1]
        result: np.ndarray = x + said.reshape(frames, width, bands).transpose(2, 0, 1)
        return result


_GRU = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


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
        shares = np.take(some, above, 1, mode="clip")  # which spares it a look at each index
        low = np.take(some, below, 1, mode="clip")
        shares -= low
        shares *= weight
        shares += low
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
