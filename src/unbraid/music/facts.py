"""Tempo and key of a recording, where they are clear."""

from __future__ import annotations

import numpy as np

from unbraid.music.analysis import find_beats
from unbraid.music.keys import name_key, pitch_classes
from unbraid.shapes import Float


def tempo_bpm(mono: Float[np.ndarray, " t"], sample_rate: int) -> float | None:
    """Beats a minute of a recording, (samples,), to a tenth; None without a pulse."""
    beats = find_beats(mono, sample_rate)
    return None if beats is None else round(beats.tempo, 1)


def key_of(mono: Float[np.ndarray, " t"], sample_rate: int) -> str | None:
    """The key of a recording, (samples,), such as "A minor"; None if no key fits well."""
    classes = pitch_classes(mono, sample_rate)
    return None if classes is None else name_key(classes)
