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

from unbraid.audio.files import probe, read_blocks
from unbraid.audio.signal import recut
from unbraid.shapes import Float

COLUMNS = 900
BANDS = 96
WINDOW = 4096
_HOP = 2048
_HOPS = 16  # read at once
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
    bank = _BandBank(sample_rate, lowest_hz, highest_hz)
    outline = _Columns(2, np.minimum)
    spectra = _Columns(BANDS + 1, np.add)  # the last row counts
    previous = np.zeros((channels, WINDOW - _HOP), np.float32)
    squares, peak, samples = 0.0, 0.0, 0
    for block in recut(blocks, channels, _HOPS * _HOP):
        samples += block.shape[1]
        squares += float(np.sum(np.square(block, dtype=np.float64)))
        peak = max(peak, float(np.max(np.abs(block))))
        outline.push(_extremes(block))
        spectra.push(_bands(np.concatenate([previous, block], axis=1), window, bank))
        previous = block[:, _HOP - WINDOW :]
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


def _extremes(block: np.ndarray) -> np.ndarray:
    """(2, steps): the least sample of each step of the outline, and minus the greatest."""
    starts = np.arange(0, block.shape[1], _STEP)
    least = np.minimum.reduceat(block.min(axis=0), starts)
    return np.stack([least, -np.maximum.reduceat(block.max(axis=0), starts)])


def _bands(signal: np.ndarray, window: np.ndarray, bank: _BandBank) -> np.ndarray:
    """(BANDS + 1, frames): mean power in each band, and 1; the last frame may need silence."""
    hops = -(-(signal.shape[1] - (WINDOW - _HOP)) // _HOP)
    missing = WINDOW - _HOP + hops * _HOP - signal.shape[1]
    signal = np.pad(signal, ((0, 0), (0, missing)))
    frames = np.lib.stride_tricks.sliding_window_view(signal, WINDOW, axis=1)[:, ::_HOP]
    spectrum = np.fft.rfft(frames * window, axis=2)
    power = np.mean(spectrum.real**2 + spectrum.imag**2, axis=0) / (window.sum() / 2) ** 2
    return np.concatenate([bank(power).T, np.ones((1, hops))])


class _Columns:
    """Columns over time, merged two by two by `combine` when there are too many."""

    def __init__(self, rows: int, combine: np.ufunc) -> None:
        self._combine = combine
        self._values = np.zeros((rows, 2 * COLUMNS))
        self._filled = 0
        self._each = 1  # values pushed to a column
        self._open = np.zeros((rows, 0))  # values of the column that is not full

    def push(self, values: np.ndarray) -> None:
        """Take (rows, any number of) values."""
        self._open = np.concatenate([self._open, values], axis=1)
        while self._open.shape[1] >= self._each:
            count = min(self._open.shape[1] // self._each, 2 * COLUMNS - self._filled)
            used = count * self._each
            groups = self._open[:, :used].reshape(len(self._open), count, self._each)
            self._values[:, self._filled : self._filled + count] = self._combine.reduce(groups, 2)
            self._open = self._open[:, used:]
            self._filled += count
            if self._filled == 2 * COLUMNS:
                self._merge()

    def _merge(self) -> None:
        self._filled = COLUMNS
        self._each *= 2
        even, odd = self._values[:, 0::2], self._values[:, 1::2]
        self._values[:, :COLUMNS] = self._combine(even, odd)

    def values(self) -> np.ndarray:
        """(rows, columns) so far."""
        filled = self._values[:, : self._filled]
        if not self._open.shape[1]:
            return filled
        return np.hstack([filled, self._combine.reduce(self._open, axis=1, keepdims=True)])


def _band_limits(sample_rate: int) -> tuple[float, float]:
    highest_hz = min(_HIGHEST_HZ, sample_rate / 2)
    return min(_LOWEST_HZ, highest_hz / 2), highest_hz


class _BandBank:
    """Overlapping triangles over bins, evenly spaced in log frequency, each at least a bin wide.

    Kept as the bins of each band, since most of a matrix would be zeros.
    """

    def __init__(self, sample_rate: int, lowest_hz: float, highest_hz: float) -> None:
        centres = np.geomspace(lowest_hz, highest_hz, BANDS)
        step = centres[1] / centres[0]
        bins = np.arange(WINDOW // 2 + 1) * sample_rate / WINDOW
        width = np.maximum(centres * (step - 1), sample_rate / WINDOW)
        heights = 1 - np.abs(bins[None] - centres[:, None]) / width[:, None]
        bands, self._bins = np.nonzero(heights > 0)
        self._heights = heights[bands, self._bins].astype(np.float32)
        self._starts = np.searchsorted(bands, np.arange(BANDS))

    def __call__(self, power: np.ndarray) -> np.ndarray:
        """(frames, bins) -> (frames, BANDS)."""
        summed: np.ndarray = np.add.reduceat(
            power[:, self._bins] * self._heights, self._starts, axis=1
        )
        return summed


def _db(power: float) -> float:
    return 10.0 * math.log10(power) if power > 0 else -math.inf
