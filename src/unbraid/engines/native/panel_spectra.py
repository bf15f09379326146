"""`PlainSTFT` on arrays: spectra in panels of frames, and back. The transforms are numpy's."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from unbraid.engines.native.spectra import reflected
from unbraid.shapes import Float32


class PanelSpectra:
    """The STFT of a model whose frames are centred, and its inverse.

    A spectrum is (panels, n_fft / 2 + 1 bins * channels * 2, lanes): each lane is a frame; real
    and imaginary parts of all channels of a bin follow each other. Lanes beyond the last frame are
    zero.

    Args:
        n_fft, hop, window, normalized: as in `PlainSTFT`, with a Hann window.
        lanes: frames in a panel.
    """

    def __init__(self, n_fft: int, hop: int, window: int, normalized: bool, lanes: int) -> None:
        self._n_fft, self._hop, self._lanes = n_fft, hop, lanes
        self._gain = 1 / math.sqrt(n_fft) if normalized else 1.0
        left = (n_fft - window) // 2
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
        self._window = np.pad(hann, (left, n_fft - window - left))

    def frames(self, samples: int) -> int:
        """How many frames so many samples have."""
        return samples // self._hop + 1

    def panels(self, samples: int) -> int:
        """In how many panels they are."""
        return -(-self.frames(samples) // self._lanes)

    def enter(self, song: Float32[np.ndarray, "c t"], spectrum: np.ndarray) -> None:
        """Spectrum (panels, rows, lanes) <- STFT of the song."""
        channels, samples = song.shape
        # In float64: the norm of a band that is all but silent makes rounding as loud as music.
        padded = reflected(song, self._n_fft // 2, self._n_fft // 2).astype(np.float64)
        every = np.lib.stride_tricks.sliding_window_view(padded, self._n_fft, axis=-1)
        window = self._gain * self._window
        for panel, first, count in self._panels(self.frames(samples)):
            start = first * self._hop
            frames = every[:, start : start + (count - 1) * self._hop + 1 : self._hop] * window
            parts = np.fft.rfft(frames).astype(np.complex64).view(np.float32)
            parts = parts.reshape(channels, count, -1, 2).transpose(2, 0, 3, 1)
            rows = spectrum[panel].reshape(*parts.shape[:3], self._lanes)
            rows[..., :count], rows[..., count:] = parts, 0

    def leave(self, spectrum: np.ndarray, waves: Float32[np.ndarray, "c t"]) -> None:
        """Waves <- inverse STFT of the spectrum."""
        (channels, samples), n_fft, hop = waves.shape, self._n_fft, self._hop
        count = self.frames(samples)
        sums = np.zeros((channels, (count - 1) * hop + n_fft), np.float32)
        weights = np.zeros(sums.shape[1])
        window = (self._window / self._gain).astype(np.float32)
        for panel, first, some in self._panels(count):
            parts = spectrum[panel].reshape(-1, channels, 2, self._lanes)[..., :some]
            parts = np.ascontiguousarray(parts.transpose(1, 3, 0, 2)).view(np.complex64)[..., 0]
            frames = np.fft.irfft(parts, n_fft).astype(np.float32, copy=False)
            frames *= window
            for number in range(some):
                start = (first + number) * hop
                sums[:, start : start + n_fft] += frames[:, number]
                weights[start : start + n_fft] += np.square(self._window)
        inner = slice(n_fft // 2, n_fft // 2 + samples)
        np.divide(sums[:, inner], weights[inner].astype(np.float32), out=waves)

    def _panels(self, frames: int) -> Iterator[tuple[int, int, int]]:
        """Number, first frame and number of frames of each panel."""
        for panel, first in enumerate(range(0, frames, self._lanes)):
            yield panel, first, min(self._lanes, frames - first)
