"""Loudness by ITU-R BS.1770-4, block by block, in memory that does not grow.

The K-weighting is applied in the frequency domain, which suits any sample rate: the two analogue
prototypes behind the standard's 48 kHz coefficients are evaluated at each bin through the bilinear
transform. Each block is filtered together with the second before it, in which the filters' tails
die away.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from unbraid.audio.signal import Signal

_BLOCK_S, _STEPS = 0.4, 4  # gating blocks overlap by three quarters
_ABSOLUTE_LUFS, _RELATIVE_LU = -70.0, -10.0
_HISTORY_S = 1.0


class LoudnessMeter:
    """Integrated loudness of a signal that comes in blocks; all channels count alike.

    Args:
        sample_rate: Hz.
        channels: how many every block has.

    >>> meter = LoudnessMeter(48000, 1)
    >>> time = np.arange(48000 * 2) / 48000
    >>> meter.push(np.sin(2 * np.pi * 997 * time).astype(np.float32)[None])
    >>> round(meter.loudness_lufs(), 1)
    -3.0
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._step = max(1, round(_BLOCK_S * sample_rate / _STEPS))
        self._rate = sample_rate
        self._history = np.zeros((channels, round(_HISTORY_S * sample_rate)), np.float32)
        self._rest = np.empty(0)
        self._energies: list[np.ndarray] = []

    def push(self, block: Signal) -> None:
        """Take the next block, (channels, any number of samples)."""
        step = 4 * self._rate
        for start in range(0, block.shape[1], step):
            self._push(block[:, start : start + step])

    def _push(self, block: np.ndarray) -> None:
        past = self._history.shape[1]
        together = np.concatenate([self._history, block], axis=1)
        self._history = together[:, together.shape[1] - past :]
        energy = np.square(_k_weighted(together, self._rate)[:, past:]).sum(axis=0)
        energy = np.concatenate([self._rest, energy])
        whole = len(energy) // self._step * self._step
        self._energies.append(energy[:whole].reshape(-1, self._step).sum(axis=1))
        self._rest = energy[whole:]

    def loudness_lufs(self) -> float:
        """Loudness of all that came; -inf for silence, or less than one block of 0.4 s.

        Source: ITU-R BS.1770-4 (2015), annex 1.
        """
        steps = np.concatenate([np.empty(0), *self._energies])
        if len(steps) < _STEPS:
            return -math.inf
        power = np.convolve(steps, np.ones(_STEPS), "valid") / (_STEPS * self._step)
        loud = power[power > _power(_ABSOLUTE_LUFS)]
        if len(loud) == 0:
            return -math.inf
        gate = _power(_loudness(float(loud.mean())) + _RELATIVE_LU)
        return _loudness(float(loud[loud > gate].mean()))


def integrated_loudness(signal: Signal, sample_rate: int) -> float:
    """Loudness in LUFS of a signal in memory, (channels, samples); see `LoudnessMeter`."""
    meter = LoudnessMeter(sample_rate, len(signal))
    meter.push(signal)
    return meter.loudness_lufs()


def _loudness(power: float) -> float:
    return -0.691 + 10.0 * math.log10(power) if power > 0 else -math.inf


def _power(lufs: float) -> float:
    return float(10.0 ** ((lufs + 0.691) / 10.0))


def _k_weighted(signal: np.ndarray, sample_rate: int) -> np.ndarray:
    samples = signal.shape[1]
    size = 1 << (samples + sample_rate // 4).bit_length()  # room for the filters' tails
    spectrum = np.fft.rfft(signal, size, axis=1) * _response(size, sample_rate)
    weighted: np.ndarray = np.fft.irfft(spectrum, size, axis=1)[:, :samples]
    return weighted


@lru_cache(maxsize=4)
def _response(size: int, sample_rate: int) -> np.ndarray:
    """Of both stages, at the bins of a transform of `size` samples."""
    z = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)  # z^-1
    response: np.ndarray = (_shelf(z, sample_rate) * _high_pass(z, sample_rate)).astype(
        np.complex64
    )
    return response


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
