"""Integrated loudness by ITU-R BS.1770-4, of excerpts in memory.

The K-weighting is applied in the frequency domain, which suits any sample rate: the two analogue
prototypes behind the standard's 48 kHz coefficients are evaluated at each bin through the bilinear
transform.
"""

from __future__ import annotations

import math

import numpy as np

from unbraid.audio.signal import Signal

_BLOCK_S, _STEP_S = 0.4, 0.1
_ABSOLUTE_LUFS, _RELATIVE_LU = -70.0, -10.0


def integrated_loudness(signal: Signal, sample_rate: int) -> float:
    """Loudness in LUFS; -inf for silence, or less than one block of 0.4 s of sound.

    All channels count alike, as left, right and centre do in the standard.

    Args:
        signal: (channels, samples).
        sample_rate: Hz.
    Source: ITU-R BS.1770-4 (2015), annex 1.
    """
    weighted = _k_weighted(signal.astype(np.float64), sample_rate)
    block, step = round(_BLOCK_S * sample_rate), round(_STEP_S * sample_rate)
    if weighted.shape[1] < block:
        return -math.inf
    summed = np.concatenate([[0.0], np.cumsum(np.square(weighted).sum(axis=0))])
    starts = np.arange(0, weighted.shape[1] - block + 1, step)
    power = (summed[starts + block] - summed[starts]) / block
    loud = power[power > _power(_ABSOLUTE_LUFS)]
    if len(loud) == 0:
        return -math.inf
    gate = _power(_loudness(float(loud.mean())) + _RELATIVE_LU)
    kept = loud[loud > gate]
    return _loudness(float(kept.mean())) if len(kept) else -math.inf


def _loudness(power: float) -> float:
    return -0.691 + 10.0 * math.log10(power) if power > 0 else -math.inf


def _power(lufs: float) -> float:
    return float(10.0 ** ((lufs + 0.691) / 10.0))


def _k_weighted(signal: np.ndarray, sample_rate: int) -> np.ndarray:
    samples = signal.shape[1]
    size = 1 << (samples + sample_rate // 4).bit_length()  # room for the filters' tails
    z = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)  # z^-1
    response = _shelf(z, sample_rate) * _high_pass(z, sample_rate)
    spectrum = np.fft.rfft(signal, size, axis=1) * response
    weighted: np.ndarray = np.fft.irfft(spectrum, size, axis=1)[:, :samples]
    return weighted


def _shelf(z: np.ndarray, sample_rate: int) -> np.ndarray:
    """Stage 1: the head, +4 dB above some 1.7 kHz."""
    gain_db, q, centre_hz = 3.999843853973347, 0.7071752369554196, 1681.974450955533
    k = math.tan(math.pi * centre_hz / sample_rate)
    vh = 10 ** (gain_db / 20)
    vb = vh**0.4996667741545416
    a0 = 1 + k / q + k * k
    b = np.array([vh + vb * k / q + k * k, 2 * (k * k - vh), vh - vb * k / q + k * k]) / a0
    a = np.array([1.0, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0])
    return _evaluated(b, a, z)


def _high_pass(z: np.ndarray, sample_rate: int) -> np.ndarray:
    """Stage 2: the low-frequency curve, below some 38 Hz."""
    q, centre_hz = 0.5003270373238773, 38.13547087602444
    k = math.tan(math.pi * centre_hz / sample_rate)
    a0 = 1 + k / q + k * k
    a = np.array([1.0, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0])
    return _evaluated(np.array([1.0, -2.0, 1.0]), a, z)


def _evaluated(b: np.ndarray, a: np.ndarray, z: np.ndarray) -> np.ndarray:
    ratio: np.ndarray = (b[0] + z * (b[1] + z * b[2])) / (a[0] + z * (a[1] + z * a[2]))
    return ratio
