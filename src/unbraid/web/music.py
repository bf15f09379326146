"""Tempo and key of a song, as far as they are plain; None where scipy is not installed."""

from __future__ import annotations

import numpy as np

_NAMES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
# How well each pitch class fits a key on C, as listeners judged.
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
_LEAST_LIKENESS = 0.5


def tempo_bpm(mono: np.ndarray, sample_rate: int) -> float | None:
    """Beats a minute of a recording, (samples,), to a tenth; None if it has no plain pulse."""
    try:
        from unbraid.data.rhythm import find_beats
    except ImportError:
        return None
    beats = find_beats(mono, sample_rate)
    return None if beats is None else round(beats.tempo, 1)


def key_of(mono: np.ndarray, sample_rate: int) -> str | None:
    """The key of a recording, (samples,), such as "A minor"; None if none fits well."""
    try:
        from unbraid.data.rhythm import pitch_classes
    except ImportError:
        return None
    classes = pitch_classes(mono, sample_rate)
    return None if classes is None else name_key(classes)


def name_key(classes: np.ndarray) -> str | None:
    """The key whose profile is most like these shares of the pitch classes, (12,) from C on.

    Source: Krumhansl, "Cognitive foundations of musical pitch", 1990.

    >>> name_key(np.array([4, 0, 2, 0, 3, 2, 0, 4, 0, 2, 0, 1.0]))
    'C major'
    """
    likeness = {
        f"{_NAMES[tonic]} {mode}": float(np.corrcoef(classes, np.roll(profile, tonic))[0, 1])
        for mode, profile in (("major", _MAJOR), ("minor", _MINOR))
        for tonic in range(12)
        if classes.std() > 0
    }
    best = max(likeness, key=lambda key: likeness[key], default=None)
    return best if best is not None and likeness[best] >= _LEAST_LIKENESS else None
