"""Signals that museval and unbraid score alike; needs nothing but numpy.

`cases()` gives name -> (references, estimates, window, hop), the signals (sources, samples,
channels), float64. `make_museval.py` stores what museval says of them.
"""

from __future__ import annotations

import numpy as np

Case = tuple[np.ndarray, np.ndarray, float, float]


def noise(seed: int, sources: int, samples: int, channels: int) -> np.ndarray:
    """The same on every version of numpy."""
    return 0.1 * np.random.RandomState(seed).standard_normal((sources, samples, channels))


def song(seed: int, sources: int, samples: int, channels: int) -> np.ndarray:
    """Coloured noise and notes that come and go: spectra with little at the top, like music."""
    signals = noise(seed, sources, samples + 64, channels)
    for source in range(sources):
        taps = np.hanning(4 + 12 * source)
        for channel in range(channels):
            kept = np.convolve(signals[source, :, channel], taps, "same")
            signals[source, :, channel] = kept / taps.sum()
    time = np.arange(samples)
    for source in range(sources):
        note = np.sin(2 * np.pi * time * (0.01 + 0.007 * source)) * (time // 1500 % 2)
        signals[source, :samples] += 0.2 * note[:, None] * np.linspace(1, 0.5, channels)
    return signals[:, :samples]


def separated(references: np.ndarray, seed: int = 99, leak: float = 0.1) -> np.ndarray:
    """Estimates as a model might make them: filtered, with leaks and with noise of their own."""
    estimates = references.copy()
    estimates[:, 3:] += 0.2 * references[:, :-3]
    estimates += leak * np.roll(references, 1, axis=0)
    estimates[:, 20:] -= 0.3 * leak * np.roll(references, 1, axis=0)[:, :-20]
    return estimates + 0.05 * noise(seed, *references.shape)


def cases() -> dict[str, Case]:
    """All cases by name."""
    return {**_plain(), **_silence(), **_singular(), **_lengths(), **_perfect()}


def _plain() -> dict[str, Case]:
    two, four = noise(1, 2, 6000, 2), song(2, 4, 9000, 2)
    quiet, tall = 1e-5 * song(3, 2, 6000, 2), song(4, 1, 6000, 3)
    mono, one, eight = song(5, 3, 6000, 1), song(6, 1, 6000, 2), song(7, 2, 16000, 1)
    forty_eight = song(8, 2, 96000, 2)
    swapped = song(9, 2, 6000, 1)
    return {
        "noise": (two, separated(two), 2000, 2000),
        "four stems": (four, separated(four), 2000, 2000),
        "quiet": (quiet, separated(quiet, leak=0.2), 2000, 2000),
        "three channels": (tall, separated(tall), 2000, 2000),
        "mono": (mono, separated(mono), 2000, 2000),
        "one source": (one, separated(one), 2000, 2000),
        "8 kHz": (eight, separated(eight), 8000, 8000),
        "48 kHz": (forty_eight, separated(forty_eight), 48000, 48000),
        "swapped estimates": (swapped, separated(swapped)[::-1].copy(), 2000, 2000),
    }


def _silence() -> dict[str, Case]:
    references = song(11, 2, 8000, 2)
    estimates = separated(references)
    silent_reference, silent_estimate, both = references.copy(), estimates.copy(), references.copy()
    silent_reference[0, 2000:4000] = 0
    silent_estimate[1, 4000:6000] = 0
    both[1, 1500:4500] = 0
    estimates_of_both = separated(both)
    estimates_of_both[0, :2000] = 0
    antiphase, silent_channel = references.copy(), references.copy()
    antiphase[1, 2000:4000, 1] = -antiphase[1, 2000:4000, 0]
    silent_channel[0, :, 1] = 0
    mostly = references.copy()
    mostly[0, :7000] = 0
    return {
        "silent frame in a reference": (silent_reference, estimates, 2000, 2000),
        "silent frame in an estimate": (references, silent_estimate, 2000, 2000),
        "silent frames in both": (both, estimates_of_both, 2000, 2000),
        "antiphase frame": (antiphase, separated(antiphase), 2000, 2000),
        "silent channel": (silent_channel, separated(silent_channel), 2000, 2000),
        "heard only in the last frame": (mostly, separated(mostly), 2000, 1000),
    }


def _singular() -> dict[str, Case]:
    references = song(21, 2, 6000, 2)
    centred, double, delayed = references.copy(), references.copy(), references.copy()
    centred[:, :, 1] = centred[:, :, 0]
    double[1] = double[0]
    delayed[1] = 0
    delayed[1, 40:] = 0.5 * delayed[0, :-40]
    clicks = np.zeros((2, 6000, 2))
    clicks[0, 500::2000] = 1.0
    clicks[1, 900::2000] = 1.0
    time = np.arange(6000)[:, None]
    tones = np.stack([np.sin(0.05 * time + [0.0, 0.3]), np.sin(0.11 * time + [0.0, 0.8])])
    return {
        "same left and right": (centred, separated(references), 2000, 2000),
        "duplicate references": (double, separated(references), 2000, 2000),
        "delayed duplicate": (delayed, separated(references), 2000, 2000),
        "pure tones": (0.3 * tones, separated(0.3 * tones), 2000, 2000),
        "clicks": (clicks, separated(clicks), 2000, 2000),
    }


def _lengths() -> dict[str, Case]:
    references = song(31, 2, 6789, 1)
    estimates = separated(references)
    return {
        "overlapping frames": (references, estimates, 2000, 700),
        "frames apart": (references, estimates, 1000, 2500),
        "hop of a fraction": (references, estimates, 2000.5, 1500.25),
        "whole song": (references, estimates, np.inf, np.inf),
        "shorter than a window": (references[:, :1500], estimates[:, :1500], 2000, 2000),
        "shorter than the filters": (references[:, :300], estimates[:, :300], 2000, 2000),
        "exactly a window": (references[:, :2000], estimates[:, :2000], 2000, 2000),
        "a sample more": (references[:, :2001], estimates[:, :2001], 2000, 500),
    }


def _perfect() -> dict[str, Case]:
    references = song(41, 2, 6000, 1)
    one_perfect = separated(references)
    one_perfect[0] = references[0]
    return {
        "perfect": (references, references.copy(), 2000, 2000),
        "scaled": (references, 0.5 * references, 2000, 2000),
        "one of two perfect": (references, one_perfect, 2000, 2000),
        "quiet error": (references, references + 1e-3 * noise(42, 2, 6000, 1), 2000, 2000),
    }
