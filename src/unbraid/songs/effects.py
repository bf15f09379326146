"""What a mixer does to a stem: EQ, saturation, compression, space.

Sound is float32 (samples, 2) at 44.1 kHz, unless something else is said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import signal

RATE = 44_100
"""Hz, of all made-up songs."""


def rms(audio: np.ndarray) -> float:
    """Root mean square over all channels; never quite 0, so that one can divide by it."""
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64)) + 1e-12))


def pan(mono: np.ndarray, position: float) -> np.ndarray:
    """Constant-power pan of (samples,) to (samples, 2); position -1 (left) to 1 (right)."""
    angle = (position + 1) * np.pi / 4
    sides = np.stack([mono * np.cos(angle), mono * np.sin(angle)], axis=1).astype(np.float32)
    return sides * 1.41


def butter(
    audio: np.ndarray, hz: float | tuple[float, float], kind: str, order: int = 2
) -> np.ndarray:
    """A Butterworth filter along time: kind "low", "high" or "band" with two edges."""
    sos = signal.butter(order, hz, kind, fs=RATE, output="sos")
    filtered: np.ndarray = signal.sosfilt(sos, audio, axis=0).astype(np.float32)
    return filtered


def tilt(audio: np.ndarray, decibels: float, pivot: float = 900.0) -> np.ndarray:
    """Tilt the spectrum: -decibels far below the pivot (Hz), +decibels far above it."""
    low = signal.sosfilt(signal.butter(1, pivot, fs=RATE, output="sos"), audio, axis=0)
    gain = 10 ** (decibels / 20)
    tilted: np.ndarray = (low / gain + (audio - low) * gain).astype(np.float32)
    return tilted


def saturate(audio: np.ndarray, drive: float) -> np.ndarray:
    """tanh saturation around the signal's own rms; drive 0 leaves it, 3 is heavy."""
    if drive <= 0:
        return audio
    scale = drive / (4 * rms(audio))
    bent: np.ndarray = (np.tanh(audio * scale) / scale).astype(np.float32)
    return bent


def _mean_square(blocks: np.ndarray, axis: int) -> np.ndarray:
    power: np.ndarray = np.mean(blocks * blocks, axis)
    return power


def _block_levels(
    audio: np.ndarray, block: int, reduce: Callable[[np.ndarray, int], np.ndarray]
) -> np.ndarray:
    count = -(-len(audio) // block)
    padded = np.zeros((count * block, audio.shape[1]), np.float32)
    padded[: len(audio)] = np.abs(audio)
    return reduce(padded.reshape(count, -1), 1)


def _spread(gains: np.ndarray, block: int, samples: int) -> np.ndarray:
    at = (np.arange(len(gains)) + 0.5) * block
    curve: np.ndarray = np.interp(np.arange(samples), at, gains).astype(np.float32)[:, None]
    return curve


def compress(
    audio: np.ndarray, ratio: float, release_s: float = 0.15, block: int = 256
) -> np.ndarray:
    """Feed-forward compressor with its threshold at the rms of the whole stem."""
    level = np.sqrt(_block_levels(audio, block, _mean_square) + 1e-10)
    over = np.maximum(0, 20 * np.log10(level / rms(audio)))
    keep = np.exp(-block / RATE / release_s)
    smooth = signal.lfilter([1 - keep], [1, -keep], over)
    gain = 10 ** (-smooth * (1 - 1 / ratio) / 20)
    pressed: np.ndarray = audio * _spread(gain, block, len(audio))
    return pressed


def limiter_curve(mixture: np.ndarray, ceiling: float, block: int = 128) -> np.ndarray:
    """Gain (samples, 1) of a master limiter: keeps the mixture about below the ceiling."""
    peaks = _block_levels(mixture, block, np.max)
    peaks = np.maximum.reduce([np.roll(peaks, shift) for shift in (-2, -1, 0, 1, 2)])
    need = -20 * np.log10(np.minimum(1, ceiling / np.maximum(peaks, 1e-6)))
    keep = np.exp(-block / RATE / 0.08)
    held = np.maximum(need, signal.lfilter([1 - keep], [1, -keep], need))
    return _spread(10 ** (-held / 20), block, len(mixture))


def reverb(audio: np.ndarray, rng: np.random.Generator, seconds: float, wet: float) -> np.ndarray:
    """Room of decaying stereo noise, darker as it fades."""
    count = int(seconds * 1.2 * RATE)
    time = np.arange(count)[:, None] / RATE
    noise = rng.standard_normal((count, 2)).astype(np.float32)
    dark = butter(noise, rng.uniform(1500, 4000), "low", 1)
    response = dark * np.exp(-6.9 * time / seconds) + noise * 0.4 * np.exp(-14 * time / seconds)
    response = butter(response, 180, "high", 1)
    response = np.roll(response, int(rng.uniform(0.003, 0.03) * RATE), axis=0)
    response /= np.sqrt(np.sum(response**2) / 2)
    tail = signal.oaconvolve(audio, response.astype(np.float32), axes=0)[: len(audio)]
    wetted: np.ndarray = audio + (wet * tail).astype(np.float32)
    return wetted


def echo(audio: np.ndarray, delay_s: float, feedback: float, wet: float) -> np.ndarray:
    """Ping-pong delay of four repeats, each duller."""
    out: np.ndarray = audio.copy()
    tap = butter(audio, 3500, "low", 1) * wet
    step = int(delay_s * RATE)
    for repeat in range(1, 5):
        shift = step * repeat
        if shift >= len(audio):
            break
        tap = tap[:, ::-1]
        out[shift:] += tap[: len(audio) - shift] * feedback ** (repeat - 1)
    return out


def chorus(audio: np.ndarray, rng: np.random.Generator, depth_ms: float = 3.0) -> np.ndarray:
    """One modulated copy per channel, added."""
    index = np.arange(len(audio), dtype=np.float64)
    out = audio.copy()
    for channel in range(2):
        rate, phase = rng.uniform(0.2, 1.2), rng.uniform(0, 6.28)
        sweep = 0.012 + depth_ms / 1000 * np.sin(2 * np.pi * rate * index / RATE + phase)
        out[:, channel] += 0.7 * np.interp(index - sweep * RATE, index, audio[:, channel])
    mixed: np.ndarray = out * 0.75
    return mixed


def duck(audio: np.ndarray, times: Sequence[float], depth: float, release_s: float) -> np.ndarray:
    """Side-chain pumping: the level drops by `depth` (0-1) at each time (s), and comes back."""
    curve = np.ones(len(audio), np.float32)
    shape = 1 - depth * np.exp(-np.arange(int(release_s * 4 * RATE)) / (release_s * RATE))
    for time in times:
        start = int(time * RATE)
        piece = curve[start : start + len(shape)]
        np.minimum(piece, shape[: len(piece)], out=piece)
    ducked: np.ndarray = audio * butter(curve[:, None], 60, "low", 1)
    return ducked
