"""Ratio masks: estimates only say how the mixture's spectrogram is shared out among the stems.

A small model knows better where in the spectrum a stem is than what its waveform is. What a stem is
louder in, it gets more of, bin by bin, in proportion to the magnitudes of the estimates; phase and
level are the mixture's own. Only models whose spec asks for it (`ModelSpec.ratio_masks`) are
finished so: docs/training-log.md has what it is worth. `models/masks.py` is the same for training.
"""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Complex64, Float32

from unbraid.models.base import FRAME_SAMPLES, SILENCE
from unbraid.runtimes.threads import get_threads

_HOP = FRAME_SAMPLES // 2


def apply_ratio_masks(
    mixture: Float32[np.ndarray, "b c t"], estimates: Float32[np.ndarray, "b s c t"]
) -> Float32[np.ndarray, "b s c t"]:
    """The mixture, shared out in proportion to the estimates' magnitudes.

    Args:
        mixture: (batch, channels, samples).
        estimates: (batch, stems, channels, samples).
    Returns:
        (batch, stems, channels, samples); the sum over stems is the mixture wherever an estimate
        sounds.

    >>> song = np.ones((1, 2, 100), np.float32)
    >>> estimates = np.stack([song, 3 * song], 1)
    >>> np.allclose(apply_ratio_masks(song, estimates)[:, 1], 0.75 * song, atol=1e-6)
    True
    """
    items = range(len(mixture))
    pairs = [(item, channel) for item in items for channel in range(mixture.shape[1])]
    shared = np.empty(estimates.shape, np.float32)

    def share(item: int, channel: int) -> None:
        of_stems = estimates[item, :, channel]
        _share_out(mixture[item, channel], of_stems, shared[item, :, channel])

    with ThreadPoolExecutor(get_threads(), "unbraid-masks") as threads:
        list(threads.map(share, *zip(*pairs, strict=True)))
    return shared


def _share_out(
    signal: Float32[np.ndarray, " t"],
    estimates: Float32[np.ndarray, "s t"],
    shared: Float32[np.ndarray, "s t"],
) -> None:
    """One channel; the result goes to `shared`."""
    frames = _Frames(signal.shape[0])
    sizes = [np.abs(frames.spectrum(estimate)) for estimate in estimates]
    spectrum = frames.spectrum(signal)
    spectrum /= sum(sizes[1:], sizes[0] + np.float32(SILENCE))
    for size, of_stem in zip(sizes, shared, strict=True):
        of_stem[:] = frames.signal(size * spectrum)


class _Frames:
    """Signals of one length to spectra (frames, freq) and back: half-overlapping frames under a
    sine window, whose squares add up to one; the first begins half before the signal.

    Its memory is used again and again: asking for more takes longer than the transforms do.
    """

    def __init__(self, samples: int) -> None:
        self._samples = samples
        count = -(-samples // _HOP) + 1
        self._padded = np.zeros((count + 1, _HOP), np.float32)
        self._frames = np.empty((count, 2, _HOP), np.float32)

    def spectrum(self, signal: Float32[np.ndarray, " t"]) -> Complex64[np.ndarray, "n f"]:
        self._padded.reshape(-1)[_HOP : _HOP + self._samples] = signal
        early, late = _window()
        np.multiply(self._padded[:-1], early, out=self._frames[:, 0])
        np.multiply(self._padded[1:], late, out=self._frames[:, 1])
        found: np.ndarray = np.fft.rfft(self._frames.reshape(-1, FRAME_SAMPLES))
        return found.astype(np.complex64, copy=False)

    def signal(self, spectrum: Complex64[np.ndarray, "n f"]) -> Float32[np.ndarray, " t"]:
        frames = np.fft.irfft(spectrum, FRAME_SAMPLES).reshape(-1, 2, _HOP)
        early, late = _window()
        total: np.ndarray = frames[1:, 0] * early + frames[:-1, 1] * late
        return total.reshape(-1)[: self._samples].astype(np.float32, copy=False)


@functools.cache
def _window() -> Float32[np.ndarray, "2 n"]:
    """First and second half of a frame's window."""
    middles = np.arange(FRAME_SAMPLES) + 0.5
    return np.sin(np.pi * middles / FRAME_SAMPLES).astype(np.float32).reshape(2, _HOP)
