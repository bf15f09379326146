"""Tempo and key of a recording, where they are clear; None where scipy is not installed."""

from __future__ import annotations

import numpy as np


def tempo_bpm(mono: np.ndarray, sample_rate: int) -> float | None:
    """Beats a minute of a recording, (samples,), to a tenth; None without a steady pulse."""
    try:
        from unbraid.audio.rhythm import find_beats
    except ImportError:
        return None
    beats = find_beats(mono, sample_rate)
    return None if beats is None else round(beats.tempo, 1)


def key_of(mono: np.ndarray, sample_rate: int) -> str | None:
    """The key of a recording, (samples,), such as "A minor"; None if no key fits well."""
    try:
        from unbraid.audio.key import name_key, pitch_classes
    except ImportError:
        return None
    classes = pitch_classes(mono, sample_rate)
    return None if classes is None else name_key(classes)
