"""Where signals lie against each other: a delay found by their beats, and how they are laid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import signal

_GRID_S, _SMEAR_BINS, _REACH_S = 0.005, 2.0, 4.0
_SMEAR_REACH = 5


def delay_s(host: Sequence[float], other: Sequence[float]) -> float:
    """By how much to delay the other's beats, in seconds, so that most fall on the host's.

    Args:
        host, other: times of beats, in seconds.
    Returns:
        a delay within ±4 s, negative if it has to come earlier.
    Source: Défossez, arXiv:2111.03600: cross-correlation of grids of 5 ms, smeared by a Gaussian.
    """
    size = int(max((*host, *other, 0.0)) / _GRID_S) + 2 * _SMEAR_REACH
    kernel = signal.windows.gaussian(2 * _SMEAR_REACH + 1, _SMEAR_BINS)
    grids = []
    for times in (host, other):
        grid = np.zeros(size)
        np.add.at(grid, (np.array(times, float) / _GRID_S).round().astype(int).clip(0), 1.0)
        grids.append(np.convolve(grid, kernel, "same"))
    correlation = signal.correlate(grids[0], grids[1], "full", "fft")
    lags = np.arange(-size + 1, size)
    near = np.abs(lags) <= _REACH_S / _GRID_S
    return float(lags[near][int(np.argmax(correlation[near]))] * _GRID_S)


def lay_together(signals: Sequence[np.ndarray], delays: Sequence[int]) -> list[np.ndarray]:
    """Signals (channels, any length), delayed against each other and cut to the shortest.

    None is cut at its start: what would have to come earlier makes all others come later.

    >>> one, two = np.ones((1, 3), np.float32), np.ones((1, 5), np.float32)
    >>> [part.tolist() for part in lay_together([one, two], [0, -1])]
    [[[0.0, 1.0, 1.0, 1.0]], [[1.0, 1.0, 1.0, 1.0]]]
    """
    pads = [delay - min(delays) for delay in delays]
    samples = min(pad + part.shape[1] for pad, part in zip(pads, signals, strict=True))
    together = []
    for pad, part in zip(pads, signals, strict=True):
        laid = np.zeros((part.shape[0], samples), np.float32)
        piece = part[:, : samples - pad] if samples > pad else part[:, :0]
        laid[:, pad : pad + piece.shape[1]] = piece
        together.append(laid)
    return together
