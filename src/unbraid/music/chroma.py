"""Pitch classes over time, from the features of stems."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from unbraid.music.features import LOWEST_PITCH, PITCHES, Features, joined
from unbraid.shapes import Float

_UNPITCHED = ("drums", "vocals")
_CLASSES = np.eye(12, dtype=np.float32)[(LOWEST_PITCH + np.arange(PITCHES)) % 12]
_BASS_TOP = 55  # MIDI; a bass line lies below


def harmony_of(stems: Mapping[str, Features]) -> Features:
    """All stems but drums and vocals as one; or all, if there is nothing else."""
    pitched = [one for name, one in stems.items() if name not in _UNPITCHED]
    return joined(pitched or list(stems.values()))


def chroma_of(stems: Mapping[str, Features]) -> tuple[Float[np.ndarray, "m 24"], float]:
    """Pitch classes of harmony and of bass, C first, and how many frames a second.

    Args:
        stems: of one length, nearly.
    """
    harmony = harmony_of(stems)
    bass = stems.get("bass", harmony).pitches.astype(np.float32)
    low = bass * (LOWEST_PITCH + np.arange(PITCHES) <= _BASS_TOP)
    both = [np.sqrt(np.asarray(one, np.float32)) @ _CLASSES for one in (harmony.pitches, low)]
    frames = min(map(len, both))
    return np.concatenate([one[:frames] for one in both], axis=1), harmony.pitch_rate
