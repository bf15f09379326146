"""Both ends of the spectral branch: a song to the rows that the network takes, and rows to waves.

What `AlignedSTFT`, `DelayedSTFT`, `ComplexAsChannels` and `MagnitudeHead` compute, in kernels; what
few models do is done around them in numpy.
"""

from __future__ import annotations

import math

import numpy as np

from unbraid.engines.native.library import kernels, pointer
from unbraid.engines.native.sheets import Pool, Sheet
from unbraid.shapes import Float32

HOPS = 4  # in a frame of the STFT
_WINDOWS = 1.5  # sum of the squared windows that cover a sample
_ROWS = 64  # that are turned at a time, so that they stay in the cache


class Spectra:
    """The STFT of a model, and how its spectrograms enter and leave the network.

    Args:
        n_fft: size of a frame in samples.
        delayed: frames as `DelayedSTFT` has them.
        magnitude: the network takes magnitudes; the mixture's phase is kept for its output.
        by_ratio: the phase is that of a division, as `MagnitudeHead` divides for -1 iterations.
    """

    def __init__(
        self,
        n_fft: int,
        *,
        delayed: bool = False,
        magnitude: bool = False,
        by_ratio: bool = False,
    ) -> None:
        self._n_fft, self._hop = n_fft, n_fft // HOPS
        self._delayed, self._magnitude, self._by_ratio = delayed, magnitude, by_ratio
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
        root = math.sqrt(n_fft)
        self._window = (window / root).astype(np.float32)
        self._inverse_window = (window / root / _WINDOWS).astype(np.float32)
        # Of a delayed STFT no frame covers the first hop with the last quarter of its window.
        missing = np.square(window[3 * self._hop :])
        self._first_hop = (_WINDOWS / (_WINDOWS - missing)).astype(np.float32)

    def enter(
        self, song: Float32[np.ndarray, "c t"], pool: Pool, threads: int
    ) -> tuple[Sheet, Sheet | None]:
        """(n_fft / 2, frames, features), and the mixture's spectrogram where its phase is kept."""
        samples, edge = song.shape[1], 3 * self._hop // 2
        frames = math.ceil(samples / self._hop)
        right = edge + frames * self._hop - samples
        pad = _silenced if self._delayed else reflected
        signal = np.ascontiguousarray(pad(song, edge, right).T)
        rows = self._n_fft // 2
        z = pool.sheet(rows, frames, 2 * len(song), lasting=self._magnitude)
        kernels().stft(
            pointer(signal),
            len(song),
            pointer(self._window),
            self._n_fft,
            rows,
            frames,
            z.at(),
            z.row_stride,
            threads,
        )
        if not self._magnitude:
            return z, None
        x = pool.sheet(rows, frames, len(song))
        for some in _blocks(rows):
            x.inner[some] = np.abs(_complex(z, some))
        return x, z

    def leave(
        self, x: Sheet, mixture: Sheet | None, t: Sheet, affine: tuple[float, float],
        waves: Float32[np.ndarray, "sc t"], pool: Pool, threads: int,
    ) -> None:  # fmt: skip
        """`waves` <- inverse STFT of the rows, plus the time branch times a gain and an offset."""
        if mixture is not None:
            x = self._turned(x, mixture, pool)
        gain, offset = affine
        kernels().inverse_stft(
            x.at(),
            x.row_stride,
            t.width,
            pointer(self._inverse_window),
            self._n_fft,
            x.rows,
            x.steps,
            0 if self._delayed else 3 * self._hop // 2,
            t.at(),
            gain,
            offset,
            pointer(waves),
            t.steps,
            threads,
        )
        if self._delayed:
            first = waves[:, : self._hop]
            added = t.inner[0, : self._hop].T * np.float32(gain) + np.float32(offset)
            first[:] = (first - added) * self._first_hop[: first.shape[1]] + added
        pool.give(x)

    def _turned(self, x: Sheet, mixture: Sheet, pool: Pool) -> Sheet:
        """Magnitudes (rows, frames, stems * channels) with the phase of the mixture."""
        turned = pool.sheet(x.rows, x.steps, 2 * x.width)
        channels = mixture.width // 2
        for some in _blocks(x.rows):
            z = _complex(mixture, some)
            size = np.abs(z)
            if self._by_ratio:
                phase = z / (np.float32(1e-8) + size)
            else:
                phase = np.where(size == 0, np.complex64(1), z / np.where(size == 0, 1, size))
            magnitudes = x.inner[some].reshape(*z.shape[:2], -1, channels)
            pairs = (magnitudes * phase[:, :, None]).reshape(*z.shape[:2], -1)
            turned.inner[some] = pairs.view(np.float32)
        pool.give(x)
        return turned


def _complex(sheet: Sheet, rows: slice) -> np.ndarray:
    """Some rows of real and imaginary parts as complex numbers."""
    return np.ascontiguousarray(sheet.inner[rows]).view(np.complex64)


def _blocks(rows: int) -> list[slice]:
    return [slice(first, min(first + _ROWS, rows)) for first in range(0, rows, _ROWS)]


def _silenced(x: np.ndarray, left: int, right: int) -> np.ndarray:
    return np.pad(x, [(0, 0), (left, right)])


def reflected(x: np.ndarray, left: int, right: int) -> np.ndarray:
    """Padded by reflection; as `models.layers.stft.pad_reflect`, short signals included."""
    missing = max(left, right) - x.shape[1] + 1
    if missing > 0:
        zeros_right = min(right, missing)
        zeros_left = missing - zeros_right
        x = np.pad(x, [(0, 0), (zeros_left, zeros_right)])
        left, right = left - zeros_left, right - zeros_right
    return np.pad(x, [(0, 0), (left, right)], mode="reflect")
