"""Ratio masks: estimates only say how the mixture's spectrogram is shared out among the stems.

A small model knows better where in the spectrum a stem is than what its waveform is. What a stem is
louder in, it gets more of, bin by bin, in proportion to the magnitudes of the estimates; phase and
level are the mixture's own. Only models whose spec asks for it (`ModelSpec.ratio_masks`) are
finished so: docs/training-log.md has what it is worth. `models/masks.py` is the same for training.
"""

from __future__ import annotations

import functools

import numpy as np
from jaxtyping import Complex64, Float32

from unbraid.models.base import FRAME_SAMPLES, SILENCE


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
    shared = np.empty(estimates.shape, np.float32)
    for item, of_stems in enumerate(estimates):
        for channel, signal in enumerate(mixture[item]):
            sizes = np.abs(_spectrum(of_stems[:, channel]))
            spectrum = _spectrum(signal) / (sizes.sum(0) + np.float32(SILENCE))
            for stem, size in enumerate(sizes):
                shared[item, stem, channel] = _signal(size * spectrum, signal.shape[-1])
    return shared


def _spectrum(signals: Float32[np.ndarray, "*s t"]) -> Complex64[np.ndarray, "*s n f"]:
    """Half-overlapping frames under a sine window; the first begins half before the signal."""
    hop = FRAME_SAMPLES // 2
    beyond = hop + -signals.shape[-1] % hop
    padded = np.pad(signals, [(0, 0)] * (signals.ndim - 1) + [(hop, beyond)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, FRAME_SAMPLES, axis=-1)
    spectrum = np.fft.rfft(windows[..., ::hop, :] * _window())
    return spectrum.astype(np.complex64, copy=False)


def _signal(spectrum: Complex64[np.ndarray, "n f"], samples: int) -> Float32[np.ndarray, " t"]:
    """Inverse of `_spectrum`: the squares of the windows add up to one."""
    halves = (np.fft.irfft(spectrum, FRAME_SAMPLES) * _window()).reshape(len(spectrum), 2, -1)
    total = halves[1:, 0] + halves[:-1, 1]
    signal: np.ndarray = total.reshape(-1)[:samples].astype(np.float32, copy=False)
    return signal


@functools.cache
def _window() -> Float32[np.ndarray, " n"]:
    return np.sin(np.pi * (np.arange(FRAME_SAMPLES) + 0.5) / FRAME_SAMPLES).astype(np.float32)
