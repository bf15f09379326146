"""What a mixer does to a stem: EQ, saturation, compression, space.

Arrays are float32 ``(samples, 2)`` at 44.1 kHz.
"""

import numpy as np
from scipy import signal

RATE = 44_100


def rms(audio):
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64)) + 1e-12))


def pan(mono, position):
    """Constant-power pan of ``(samples,)``; position -1 (left) to 1 (right)."""
    angle = (position + 1) * np.pi / 4
    return np.stack([mono * np.cos(angle), mono * np.sin(angle)], axis=1).astype(np.float32) * 1.41


def butter(audio, hz, kind, order=2):
    sos = signal.butter(order, hz, kind, fs=RATE, output="sos")
    return signal.sosfilt(sos, audio, axis=0).astype(np.float32)


def tilt(audio, decibels, pivot=900.0):
    """Tilt the spectrum: ``-decibels`` far below the pivot, ``+decibels`` far above it."""
    low = signal.sosfilt(signal.butter(1, pivot, fs=RATE, output="sos"), audio, axis=0)
    gain = 10 ** (decibels / 20)
    return (low / gain + (audio - low) * gain).astype(np.float32)


def saturate(audio, drive):
    """tanh saturation around the signal's own rms; drive 0 leaves it, 3 is heavy."""
    if drive <= 0:
        return audio
    scale = drive / (4 * rms(audio))
    return (np.tanh(audio * scale) / scale).astype(np.float32)


def _block_levels(audio, block, reduce):
    count = -(-len(audio) // block)
    padded = np.zeros((count * block, audio.shape[1]), np.float32)
    padded[: len(audio)] = np.abs(audio)
    return reduce(padded.reshape(count, -1), 1)


def _spread(gains, block, samples):
    at = (np.arange(len(gains)) + 0.5) * block
    return np.interp(np.arange(samples), at, gains).astype(np.float32)[:, None]


def compress(audio, ratio, release_s=0.15, block=256):
    """Feed-forward compressor with its threshold at the rms of the whole stem."""
    level = np.sqrt(_block_levels(audio, block, lambda x, axis: np.mean(x * x, axis)) + 1e-10)
    over = np.maximum(0, 20 * np.log10(level / rms(audio)))
    keep = np.exp(-block / RATE / release_s)
    smooth = signal.lfilter([1 - keep], [1, -keep], over)
    gain = 10 ** (-smooth * (1 - 1 / ratio) / 20)
    return audio * _spread(gain, block, len(audio))


def limiter_curve(mixture, ceiling, block=128):
    """Gain ``(samples, 1)`` of a master limiter: keeps the mixture about below the ceiling."""
    peaks = _block_levels(mixture, block, np.max)
    peaks = np.maximum.reduce([np.roll(peaks, shift) for shift in (-2, -1, 0, 1, 2)])
    need = -20 * np.log10(np.minimum(1, ceiling / np.maximum(peaks, 1e-6)))
    keep = np.exp(-block / RATE / 0.08)
    held = np.maximum(need, signal.lfilter([1 - keep], [1, -keep], need))
    return _spread(10 ** (-held / 20), block, len(mixture))


def reverb(audio, rng, seconds, wet):
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
    return audio + (wet * tail).astype(np.float32)


def echo(audio, delay_s, feedback, wet):
    """Ping-pong delay of four repeats, each duller."""
    out, tap = audio.copy(), butter(audio, 3500, "low", 1) * wet
    step = int(delay_s * RATE)
    for repeat in range(1, 5):
        shift = step * repeat
        if shift >= len(audio):
            break
        tap = tap[:, ::-1]
        out[shift:] += tap[: len(audio) - shift] * feedback ** (repeat - 1)
    return out


def chorus(audio, rng, depth_ms=3.0):
    """One modulated copy per channel, added."""
    index = np.arange(len(audio), dtype=np.float64)
    out = audio.copy()
    for channel in range(2):
        rate, phase = rng.uniform(0.2, 1.2), rng.uniform(0, 6.28)
        sweep = 0.012 + depth_ms / 1000 * np.sin(2 * np.pi * rate * index / RATE + phase)
        out[:, channel] += 0.7 * np.interp(index - sweep * RATE, index, audio[:, channel])
    return out * 0.75


def duck(audio, times, depth, release_s):
    """Side-chain pumping: the level drops by ``depth`` (0-1) at each time, and comes back."""
    curve = np.ones(len(audio), np.float32)
    shape = 1 - depth * np.exp(-np.arange(int(release_s * 4 * RATE)) / (release_s * RATE))
    for time in times:
        start = int(time * RATE)
        piece = curve[start : start + len(shape)]
        np.minimum(piece, shape[: len(piece)], out=piece)
    return audio * butter(curve[:, None], 60, "low", 1)
