"""Tempo and beats of recordings with a steady pulse.

librosa has finer tools for this, at the price of a compiler that runs for half a minute before the
first beat; these are short, and hold to a steady tempo better than a tenth of a percent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import signal

_FRAMES_HZ = 172.0  # of the onset curve
_WINDOW_S = 0.046
_EARLY_S = 0.013  # an onset shows when the front of the window reaches it
_BANDS = 32
_MOST_LAG_S, _LEAST_LAG_S = 1.5, 0.25  # 40 to 240 beats a minute
_USUAL_S, _OCTAVES = 0.5, 0.9  # 120 beats a minute are the most usual
_MULTIPLES = 16
_STEADINESS = 100.0


@dataclass(frozen=True)
class Beats:
    """The pulse of a recording.

    Attributes:
        tempo: beats in a minute.
        times_s: when they fall.
    """

    tempo: float
    times_s: tuple[float, ...]


def find_beats(mono: Float[np.ndarray, " t"], sample_rate: int) -> Beats | None:
    """Tempo and beats of a recording with a steady pulse; None if nothing ever begins in it.

    The onset curve is the growth of the spectrum. Its autocorrelation gives the tempo, weighted
    towards 120 beats a minute, and measured finely over many periods; then dynamic programming
    chooses beats that fall on onsets and keep to that tempo.

    Args:
        mono: (samples,), best of drums alone.
        sample_rate: Hz.
    Source: Ellis, "Beat tracking by dynamic programming", JNMR 36(1), 2007.
    """
    onsets, rate = onset_curve(mono, sample_rate)
    if len(onsets) < 4 * rate * _LEAST_LAG_S or not onsets.any():
        return None
    period = _period(onsets, rate)
    frames = _beat_frames(onsets, period)
    if len(frames) < 2:
        return None
    return Beats(60 * rate / period, tuple(float(frame / rate) + _EARLY_S for frame in frames))


def onset_curve(
    mono: Float[np.ndarray, " t"], sample_rate: int
) -> tuple[Float[np.ndarray, " n"], float]:
    """How much begins at each moment, from 0 on with deviation 1, and how many values a second.

    Value k belongs to k divided by that rate, in seconds.
    """
    hop = max(1, round(sample_rate / _FRAMES_HZ))
    size = 1 << max(5, round(np.log2(_WINDOW_S * sample_rate)))
    if len(mono) < size or not np.any(mono):
        return np.zeros(0), sample_rate / hop
    edges = np.geomspace(40, sample_rate / 2, _BANDS + 1) / sample_rate * size
    starts = np.unique(np.clip(edges.astype(int), 1, size // 2))
    levels = []
    for spectrum in spectra(mono, size, hop):
        bands = np.add.reduceat(spectrum[:, : size // 2 + 1] ** 2, starts, axis=1)
        levels.append(bands)
    power = np.concatenate(levels)
    loud = np.log1p(1e4 * np.sqrt(power / power.max()))
    growth = np.maximum(0.0, np.diff(loud, axis=0, prepend=loud[:1])).sum(axis=1)
    growth -= np.convolve(growth, np.ones(87) / 87, "same")  # half a second
    growth = np.maximum(0.0, growth)
    deviation = growth.std()
    return (growth / deviation if deviation > 0 else np.zeros(0)), sample_rate / hop


def spectra(mono: np.ndarray, size: int, hop: int) -> Iterator[np.ndarray]:
    """Magnitudes (frames, bins), some hundred frames at a time; frame k is centred on k * hop."""
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    padded = np.pad(mono.astype(np.float32), (size // 2, size // 2))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    for start in range(0, len(frames), 256):
        yield np.abs(np.fft.rfft(frames[start : start + 256] * window, axis=1))


def _period(onsets: np.ndarray, rate: float) -> float:
    """Frames of a beat, to a fraction of one."""
    size = len(onsets)
    spectrum = np.fft.rfft(onsets, 2 * size)
    autocorrelation = np.fft.irfft(np.abs(spectrum) ** 2)[:size]
    autocorrelation = autocorrelation / np.arange(size, 0, -1)  # each lag by how often it comes
    autocorrelation = signal.savgol_filter(autocorrelation, 5, 2)
    lags = np.arange(max(2, int(_LEAST_LAG_S * rate)), min(int(_MOST_LAG_S * rate), size // 3))
    usual = np.exp(-0.5 * (np.log2(lags / rate / _USUAL_S) / _OCTAVES) ** 2)
    # A beat's own lag counts with those of two and four beats, so that eighths do not pass for it.
    combed = sum(_at(autocorrelation, lags * k) / k for k in (1, 2, 4) if lags[0] * k < size)
    period = float(lags[int(np.argmax(usual * combed))])
    for reach in range(1, _MULTIPLES + 1):
        if reach * period >= size - 2:
            break
        # Each multiple gives the period more exactly, and the earlier ones locate it well enough.
        near = np.linspace(reach * period - 1.5, reach * period + 1.5, 61)
        values = _at(autocorrelation, near)
        period = float(near[int(np.argmax(values))]) / reach
    return period


def _at(curve: np.ndarray, where: np.ndarray) -> np.ndarray:
    values: np.ndarray = np.interp(where, np.arange(len(curve)), curve, right=0.0)
    return values


def _beat_frames(onsets: np.ndarray, period: float) -> list[int]:
    """Frames of beats: on onsets, and about a period apart."""
    smooth = np.convolve(onsets, signal.windows.gaussian(7, 1.2), "same")
    back = np.arange(round(period / 2), round(2 * period) + 1)
    penalty = -_STEADINESS * np.log(back / period) ** 2
    score, previous = smooth.copy(), np.full(len(smooth), -1)
    first = int(back[-1])
    for frame in range(first, len(smooth)):
        candidates = score[frame - back] + penalty
        best = int(np.argmax(candidates))
        if candidates[best] > 0:
            score[frame] += candidates[best]
            previous[frame] = frame - back[best]
    tail = len(score) - max(1, round(period))
    frame = tail + int(np.argmax(score[tail:]))
    frames = []
    while frame >= 0:
        frames.append(frame)
        frame = int(previous[frame])
    return frames[::-1]
