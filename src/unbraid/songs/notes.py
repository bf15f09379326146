"""Notes and their frequencies."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Note(NamedTuple):
    """One note.

    Attributes:
        start, length: in seconds.
        pitch: MIDI pitch; of drums, which General MIDI drum.
        velocity: 1 to 127.
    """

    start: float
    length: float
    pitch: int
    velocity: int


def hertz(pitch: float) -> float:
    """Frequency of a MIDI pitch.

    >>> hertz(69)
    440.0
    """
    return float(440.0 * 2 ** ((pitch - 69) / 12))


def hertz_curve(pitch: np.ndarray) -> np.ndarray:
    """Frequencies of MIDI pitches, (any shape)."""
    curve: np.ndarray = 440.0 * 2 ** ((pitch - 69) / 12)
    return curve
