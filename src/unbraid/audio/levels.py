"""Levels: peak and loudness, full scale, and the step from float to integer samples."""

from __future__ import annotations

import math

import numpy as np

from unbraid.audio.signal import IntegerSignal, Signal
from unbraid.errors import SettingsError

DITHERED_BITS = 16
"""Integers of up to this many bits are dithered; above, rounding errors are beyond hearing."""

_BLOCK = 1 << 16


def peak(signal: Signal) -> float:
    """Greatest magnitude in `signal`, 0.0 for an empty one; NaN if it holds a NaN.

    >>> peak(np.array([[0.25, -0.5]], np.float32))
    0.5
    """
    if signal.size == 0:
        return 0.0
    return float(max(signal.max(), -signal.min()))


def rms_db(signal: Signal) -> float:
    """Root mean square in dB, where a constant 1 is 0 dB; -inf for silence or no samples.

    >>> rms_db(np.full((1, 8), 0.5, np.float32)) == 20 * math.log10(0.5)
    True
    """
    if signal.size == 0:
        return -math.inf
    power = float(np.mean(np.square(signal, dtype=np.float64)))
    return 10.0 * math.log10(power) if power > 0 else -math.inf


def clip(signal: Signal) -> Signal:
    """Copy of `signal` held within ±1."""
    clipped: Signal = np.clip(signal, np.float32(-1), np.float32(1))
    return clipped


def shared_gain(highest_peak: float, ceiling: float = 1.0) -> float:
    """The one gain, at most 1, that brings `highest_peak` down to `ceiling`.

    >>> shared_gain(2.0), shared_gain(0.5)
    (0.5, 1.0)
    """
    return min(1.0, ceiling / highest_peak) if highest_peak > 0 else 1.0


def full_scale(bits: int, *, dithered: bool | None = None) -> float:
    """Greatest magnitude that `quantize` takes at `bits` without saturating.

    The positive end of two's complement is one step short of 1, and the dither reaches one step
    further.

    Args:
        bits: depth of the integers.
        dithered: whether dither is added; None means as `quantize` does at that depth.

    >>> full_scale(16) * 2**15
    32766.0
    """
    steps = 2.0 ** (_checked(bits) - 1)
    if dithered is None:
        dithered = bits <= DITHERED_BITS
    return (steps - (2.0 if dithered else 1.0)) / steps


def quantize(signal: Signal, bits: int, rng: np.random.Generator) -> IntegerSignal:
    """Round `signal` to integers of `bits`, with dither up to 16 bits, saturating at full scale.

    The dither is triangular (TPDF), two steps wide: it makes mean and power of the error
    independent of the music, so no distortion is left, only a steady hiss 4.8 dB above that of
    plain rounding. A sample of exactly 0 stays 0: it has no error to hide, and so digital silence
    stays digital silence. Above 16 bits samples are rounded to the nearest, ties to even: the error
    lies below -144 dB, and what was read from a file of that depth comes out bit for bit.

    Signals quantized block by block, with one generator, equal the whole quantized at once.

    Args:
        signal: (channels, samples), full scale at ±1; must be finite.
        bits: 8, 16 or 24.
        rng: source of the dither; two draws for each sample, in the order of time.
    Returns:
        int32 array of the same shape, within -2^(bits-1) … 2^(bits-1) - 1.
    Raises:
        SettingsError: if `bits` has another value.
    Source: Lipshitz, Wannamaker, Vanderkooy, "Quantization and dither", JAES 40(5), 1992.

    >>> quantize(np.array([[0.0, 0.5, -1.0, 2.0]], np.float32), 24, np.random.default_rng(0))
    array([[       0,  4194304, -8388608,  8388607]], dtype=int32)
    """
    steps = 2 ** (_checked(bits) - 1)
    quantized = np.empty(signal.shape, np.int32)
    for start in range(0, signal.shape[1], _BLOCK):
        block = signal[:, start : start + _BLOCK]
        # Scaling by a power of two is exact in float32, and so is rounding below 2^23 steps.
        scaled = block * np.float32(steps)
        if bits <= DITHERED_BITS:
            scaled += _triangular(block.shape, rng)
            scaled[block == 0] = 0
        np.rint(scaled, out=scaled)
        quantized[:, start : start + _BLOCK] = np.clip(scaled, -steps, steps - 1)
    return quantized


def dequantize(integers: IntegerSignal, bits: int) -> Signal:
    """Integers of `bits` as float32 with full scale at ±1; exact, the inverse of `quantize`.

    >>> dequantize(np.array([[-32768, 16384]], np.int32), 16)
    array([[-1. ,  0.5]], dtype=float32)
    """
    signal: Signal = integers.astype(np.float32) * np.float32(2.0 ** (1 - _checked(bits)))
    return signal


def _triangular(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Noise of triangular density in (-1, 1): the two halves of one 32-bit draw, subtracted.

    Drawn sample by sample across the channels, so that it does not depend on where blocks end.
    """
    channels, samples = shape
    draws = rng.integers(0, 2**32, size=(samples, channels), dtype=np.uint32)
    halves = (draws & 0xFFFF).astype(np.float32) - (draws >> 16).astype(np.float32)
    noise: np.ndarray = halves.T * np.float32(2.0**-16)
    return noise


def _checked(bits: int) -> int:
    if bits not in (8, 16, 24):
        raise SettingsError(f"integer samples have 8, 16 or 24 bits, got {bits}")
    return bits
