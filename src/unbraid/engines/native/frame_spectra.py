"""`PlainSTFT` on arrays for frames of any size and distance, some at a time, and back. The
transforms are numpy's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

from unbraid.engines.native.spectra import reflected
from unbraid.shapes import Complex, Float32

Block = tuple[int, Complex[np.ndarray, "c frames bins"]]
"""The first frame of some, and their spectra."""


class FrameSpectra:
    """The STFT of a model whose frames are centred, and its inverse.

    Args:
        n_fft, hop, window, normalized: as in `PlainSTFT`, with a Hann window.
    """

    def __init__(self, n_fft: int, hop: int, window: int, normalized: bool) -> None:
        self._n_fft, self._hop = n_fft, hop
        self._gain = 1 / math.sqrt(n_fft) if normalized else 1.0
        left = (n_fft - window) // 2
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
        self._window = np.pad(hann, (left, n_fft - window - left))

    def frames(self, samples: int) -> int:
        """How many frames so many samples have."""
        return samples // self._hop + 1

    def blocks(self, song: Float32[np.ndarray, "c t"], most: int) -> Iterator[Block]:
        """The STFT of a song, at most so many frames at a time."""
        # In float64: the norm of a band that is all but silent makes rounding as loud as music.
        padded = reflected(song, self._n_fft // 2, self._n_fft // 2).astype(np.float64)
        every = np.lib.stride_tricks.sliding_window_view(padded, self._n_fft, axis=-1)
        every, window = every[:, :: self._hop], self._gain * self._window
        frames = self.frames(song.shape[1])
        for first in range(0, frames, most):
            some = every[:, first : min(frames, first + most)] * window
            yield first, np.fft.rfft(some).astype(np.complex64)

    def add_up(self, blocks: Iterable[Block], waves: Float32[np.ndarray, "c t"]) -> None:
        """Waves <- inverse STFT of all frames; bins that the blocks lack are silent."""
        (channels, samples), n_fft, hop = waves.shape, self._n_fft, self._hop
        sums = np.zeros((channels, (self.frames(samples) - 1) * hop + n_fft), np.float32)
        weights = np.zeros(sums.shape[1])
        window = (self._window / self._gain).astype(np.float32)
        for first, parts in blocks:
            frames = np.fft.irfft(parts, n_fft).astype(np.float32, copy=False)
            frames *= window
            for number in range(frames.shape[1]):
                start = (first + number) * hop
                sums[:, start : start + n_fft] += frames[:, number]
                weights[start : start + n_fft] += np.square(self._window)
        inner = slice(n_fft // 2, n_fft // 2 + samples)
        np.divide(sums[:, inner], weights[inner].astype(np.float32), out=waves)
