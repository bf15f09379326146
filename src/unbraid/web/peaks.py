"""What waveforms are drawn from: the least and the greatest sample of each stretch of sound."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from unbraid.atomic import write_text

MOST_PAIRS = 4000
_FINE = 256
_SCALE = 127


class PeakMeter:
    """Peaks of sound that comes in blocks, however long it turns out to be.

    >>> meter = PeakMeter()
    >>> meter.push(np.array([[0.0, 1.0, -0.5, 0.25]], np.float32))
    >>> meter.pairs(2)
    [[0, 127], [-64, 32]]
    """

    def __init__(self) -> None:
        self.samples = 0
        self._pieces: list[np.ndarray] = []
        self._rest = np.empty((2, 0), np.float32)

    def push(self, block: np.ndarray) -> None:
        """Take the next block, float (channels, any number of samples), full scale at ±1."""
        if block.shape[1] == 0:
            return
        self.samples += block.shape[1]
        edges = np.stack([block.min(axis=0), block.max(axis=0)])
        edges = np.concatenate([self._rest, edges], axis=1)
        whole = edges.shape[1] // _FINE * _FINE
        self._pieces.append(_reduced(edges[:, :whole], _FINE))
        self._rest = edges[:, whole:]

    def pairs(self, samples_per_peak: int) -> list[list[int]]:
        """[[least, greatest], …] of each stretch, -127 to 127.

        Args:
            samples_per_peak: as `stretch` gives it.
        """
        if samples_per_peak < _FINE:  # a sound so short that all of it is still here
            fine, step = self._rest, samples_per_peak
        else:
            tail = _reduced(self._rest, _FINE)
            fine = np.concatenate([np.empty((2, 0), np.float32), *self._pieces, tail], axis=1)
            step = samples_per_peak // _FINE
        scaled = np.rint(np.clip(_reduced(fine, step), -1, 1) * _SCALE)
        pairs: list[list[int]] = scaled.astype(int).T.tolist()
        return pairs


def stretch(samples: int) -> int:
    """Samples for one peak, such that a sound has at most `MOST_PAIRS` peaks.

    >>> stretch(100), stretch(4000 * 256), stretch(4000 * 256 + 1)
    (1, 256, 512)
    """
    if samples < _FINE:
        return 1
    return _FINE * max(1, -(-samples // (MOST_PAIRS * _FINE)))


def write_peaks(path: Path, sample_rate: int, parts: dict[str, PeakMeter]) -> None:
    """Write the peaks of all parts, as the API gives them. Parts are as long as the first."""
    samples = next(iter(parts.values())).samples
    step = stretch(samples)
    content = {
        "sample_rate": sample_rate,
        "samples": samples,
        "samples_per_peak": step,
        "parts": {name: meter.pairs(step) for name, meter in parts.items()},
    }
    write_text(path, json.dumps(content, separators=(",", ":")))


def meter_peaks(blocks: Iterable[np.ndarray]) -> PeakMeter:
    """The peaks of all blocks."""
    meter = PeakMeter()
    for block in blocks:
        meter.push(block)
    return meter


def _reduced(edges: np.ndarray, step: int) -> np.ndarray:
    """(2, n) lows and highs -> (2, ceil(n / step))."""
    if edges.shape[1] == 0:
        return edges
    starts = np.arange(0, edges.shape[1], step)
    lows = np.minimum.reduceat(edges[0], starts)
    highs = np.maximum.reduceat(edges[1], starts)
    return np.stack([lows, highs])
