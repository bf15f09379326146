"""A summary of a sound file: level, outline and log-frequency spectrogram, in constant memory.

For any length of sound, at most twice `COLUMNS` columns are kept: when they are full, every
two become one, and new columns cover twice the time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from unbraid.audio.files import probe, read_blocks
from unbraid.audio.signal import recut

COLUMNS = 900
BANDS = 96
WINDOW = 4096
_HOP = 2048
_STEP = 256  # of the outline
_LOWEST_HZ = 40.0
_HIGHEST_HZ = 16_000.0


@dataclass(frozen=True)
class Soundprint:
    """Values of a sound for pictures and tables.

    Attributes:
        seconds: length.
        peak_db, rms_db: of all channels, where full scale is 0 dB; -inf for silence.
        low, high: outline, the least and the greatest sample of each column.
        bands_db: power in log-frequency bands, (bands, columns of their own), 0 dB for a
            full-scale sine.
        lowest_hz, highest_hz: centres of the first and the last band.
    """

    seconds: float
    peak_db: float
    rms_db: float
    low: Float[np.ndarray, " columns"]
    high: Float[np.ndarray, " columns"]
    bands_db: Float[np.ndarray, "bands _n"]
    lowest_hz: float
    highest_hz: float


def soundprint(path: Path) -> Soundprint:
    """Read a sound file once.

    Raises:
        AudioReadError: if it cannot be read.
    """
    info = probe(path)
    return soundprint_of(read_blocks(path), info.channels, info.sample_rate)


def soundprint_of(blocks: Iterable[np.ndarray], channels: int, sample_rate: int) -> Soundprint:
    """The same of blocks (channels, samples)."""
    window = np.hanning(WINDOW).astype(np.float32)
    lowest_hz, highest_hz = _band_limits(sample_rate)
    bank = _band_bank(sample_rate, lowest_hz, highest_hz)
    outline = _Columns(2, np.minimum)
    spectra = _Columns(BANDS + 1, np.add)  # the last row counts
    previous = np.zeros((channels, WINDOW - _HOP), np.float32)
    squares, peak, samples = 0.0, 0.0, 0
    for block in recut(blocks, channels, _HOP):
        samples += block.shape[1]
        squares += float(np.sum(np.square(block, dtype=np.float64)))
        peak = max(peak, float(np.max(np.abs(block))))
        for start in range(0, block.shape[1], _STEP):
            step = block[:, start : start + _STEP]
            outline.push(np.array([step.min(), -step.max()]))
        hop = np.zeros((channels, _HOP), np.float32)
        hop[:, : block.shape[1]] = block
        frame = np.concatenate([previous, hop], axis=1)
        previous = frame[:, _HOP:]
        spectrum = np.fft.rfft(frame * window, axis=1)
        power = np.mean(np.square(np.abs(spectrum)), axis=0) / (window.sum() / 2) ** 2
        spectra.push(np.append(bank @ power, 1.0))
    low, high = outline.values() * np.array([[1.0], [-1.0]])
    summed = spectra.values()
    return Soundprint(
        seconds=samples / sample_rate,
        peak_db=_db(peak * peak),
        rms_db=_db(squares / max(1, samples * channels)),
        low=low,
        high=high,
        bands_db=10.0 * np.log10(summed[:-1] / summed[-1] + 1e-12),
        lowest_hz=lowest_hz,
        highest_hz=highest_hz,
    )


class _Columns:
    """Columns over time, merged two by two by `combine` when there are too many."""

    def __init__(self, rows: int, combine: np.ufunc) -> None:
        self._combine = combine
        self._values = np.zeros((rows, 2 * COLUMNS))
        self._filled = 0
        self._each = 1  # pushes to a column
        self._open = 0  # pushes in the column that is not full

    def push(self, values: np.ndarray) -> None:
        column = self._values[:, self._filled]
        if self._open:
            self._combine(column, values, out=column)
        else:
            column[:] = values
        self._open += 1
        if self._open < self._each:
            return
        self._open = 0
        self._filled += 1
        if self._filled == 2 * COLUMNS:
            self._filled = COLUMNS
            self._each *= 2
            even, odd = self._values[:, 0::2], self._values[:, 1::2]
            self._values[:, :COLUMNS] = self._combine(even, odd)

    def values(self) -> np.ndarray:
        return self._values[:, : self._filled + (self._open > 0)]


def _band_limits(sample_rate: int) -> tuple[float, float]:
    highest_hz = min(_HIGHEST_HZ, sample_rate / 2)
    return min(_LOWEST_HZ, highest_hz / 2), highest_hz


def _band_bank(sample_rate: int, lowest_hz: float, highest_hz: float) -> np.ndarray:
    """(bands, bins): overlapping triangles, evenly spaced in log frequency, at least a bin wide."""
    centres = np.geomspace(lowest_hz, highest_hz, BANDS)
    step = centres[1] / centres[0]
    bins = np.arange(WINDOW // 2 + 1) * sample_rate / WINDOW
    width = np.maximum(centres * (step - 1), sample_rate / WINDOW)
    bank: np.ndarray = np.maximum(0, 1 - np.abs(bins[None] - centres[:, None]) / width[:, None])
    return bank


def _db(power: float) -> float:
    return 10.0 * math.log10(power) if power > 0 else -math.inf
