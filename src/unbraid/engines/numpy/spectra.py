"""Frames of a song and back, as `models/mask_unet/stft.py` does it in torch."""

from __future__ import annotations

import functools
import math

import numpy as np

from unbraid.shapes import Complex64, Float32

_AT_ONCE = 64  # frames; a few stay in the cache


class Spectra:
    """Hann window, frames of `n_fft` samples every `hop`; the first begins `n_fft` early."""

    def __init__(self, n_fft: int, hop: int) -> None:
        self.n_fft, self.hop = n_fft, hop

    def frames(self, samples: int) -> int:
        """Number of frames of so many samples."""
        return math.ceil((samples + self.n_fft) / self.hop)

    def forward(self, signal: Float32[np.ndarray, " t"]) -> Complex64[np.ndarray, "n f"]:
        """One channel to its spectrogram."""
        count = self.frames(len(signal))
        padded = np.zeros((count - 1) * self.hop + self.n_fft, np.float32)
        padded[self.n_fft : self.n_fft + len(signal)] = signal
        framed = np.lib.stride_tricks.sliding_window_view(padded, self.n_fft)[:: self.hop]
        made = np.empty((count, self.n_fft // 2 + 1), np.complex64)
        for first in range(0, count, _AT_ONCE):
            some = slice(first, first + _AT_ONCE)
            made[some] = np.fft.rfft(framed[some] * _window(self.n_fft))
        return made

    def inverse(
        self, spectrum: Complex64[np.ndarray, "n f"], samples: int
    ) -> Float32[np.ndarray, " t"]:
        """One channel back to its samples."""
        window = _window(self.n_fft)
        signal = np.zeros((len(spectrum) - 1) * self.hop + self.n_fft, np.float32)
        for first in range(0, len(spectrum), _AT_ONCE):
            framed = np.fft.irfft(spectrum[first : first + _AT_ONCE], self.n_fft)
            for number, frame in enumerate(framed.astype(np.float32, copy=False) * window):
                start = (first + number) * self.hop
                signal[start : start + self.n_fft] += frame
        heard = slice(self.n_fft, self.n_fft + samples)
        result: np.ndarray = signal[heard] / _weights(self.n_fft, self.hop, len(spectrum))[heard]
        return result


@functools.lru_cache(maxsize=4)
def _window(n_fft: int) -> Float32[np.ndarray, " w"]:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)).astype(np.float32)


@functools.lru_cache(maxsize=4)
def _weights(n_fft: int, hop: int, frames: int) -> Float32[np.ndarray, " t"]:
    """How often, by the squares of the windows, each sample is covered."""
    total = np.zeros((frames - 1) * hop + n_fft)
    for number in range(frames):
        total[number * hop : number * hop + n_fft] += _window(n_fft).astype(np.float64) ** 2
    return np.maximum(total, 1e-8).astype(np.float32)
