"""The textbook STFT in the kernels: centred frames, all bins, four hops to a frame."""

from __future__ import annotations

import math

import numpy as np

from unbraid.engines.native.library import kernels, pointer
from unbraid.engines.native.sheets import Pool
from unbraid.engines.native.spectra import HOPS, reflected
from unbraid.shapes import Float32


class PlainSpectra:
    """What `PlainSTFT` computes, and its inverse, for samples that are whole hops.

    Args:
        n_fft: size of a frame and its window in samples, a power of four.
        hann: whether the window is Hann's; else it is rectangular.
        normalized: divide by sqrt(n_fft) on the way in, and multiply on the way out.
    """

    def __init__(self, n_fft: int, *, hann: bool, normalized: bool) -> None:
        self.n_fft, self.hop, self.bins = n_fft, n_fft // HOPS, n_fft // 2 + 1
        turns = 2 * np.pi * np.arange(n_fft) / n_fft
        window = 0.5 - 0.5 * np.cos(turns) if hann else np.ones(n_fft)
        squares = np.square(window).reshape(HOPS, self.hop)
        self._covered = squares.sum(0)  # of a sample, by its place in a hop
        # No frame covers the first hop with its last quarter, nor the last one with its first.
        self._missing = squares[-1], squares[0]
        scale = math.sqrt(n_fft) if normalized else 1.0
        self._window = (window / scale).astype(np.float32)
        inverse = (window.reshape(HOPS, -1) / self._covered).reshape(-1)
        self._inverse_window = (inverse * scale / n_fft).astype(np.float32)

    def frames(self, samples: int) -> int:
        """Of so many samples."""
        return samples // self.hop + 1

    def enter(
        self, song: Float32[np.ndarray, "c t"], pool: Pool, threads: int
    ) -> Float32[np.ndarray, "f n c2"]:
        """(bins, frames, real and imaginary part of each channel)."""
        half, frames = self.n_fft // 2, self.frames(song.shape[1])
        signal = np.ascontiguousarray(reflected(song, half, half).T)
        x = pool.tokens(self.bins, frames, 2 * len(song))
        kernels().stft(
            pointer(signal), len(song), pointer(self._window), self.n_fft, self.bins, frames,
            pointer(x), x[0].size, threads,
        )  # fmt: skip
        return x

    def leave(
        self, x: Float32[np.ndarray, "f n s2"], waves: Float32[np.ndarray, "s t"], threads: int
    ) -> None:
        """`waves` <- inverse STFT of the rows."""
        _, frames, width = x.shape
        kernels().inverse_stft(
            pointer(x), x[0].size, width // 2, pointer(self._inverse_window), self.n_fft, self.bins,
            frames, self.n_fft // 2, None, 0, 0, pointer(waves), waves.shape[1], threads,
        )  # fmt: skip
        hops = frames - 1
        for number in {0, hops - 1}:
            there = self._covered - (number == 0) * self._missing[0]
            there = there - (number == hops - 1) * self._missing[1]
            ends = waves[:, number * self.hop : (number + 1) * self.hop]
            ends *= (self._covered / there).astype(np.float32)[: ends.shape[1]]
