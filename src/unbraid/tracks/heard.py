"""What is heard in a song and told in the names of its files: tempo and key."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from unbraid.music.facts import key_of, tempo_bpm
from unbraid.tracks.spool import Spool

_LONGEST_S = 300
_NOTHING = "none"


def hear(sound: Spool, sample_rate: int) -> Mapping[str, str]:
    """Tempo and key of a song as its file names have them, by its first five minutes.

    Returns:
        "bpm": a whole number; "key": such as "F#m" or "Eb"; either may be "none".
    """
    mono = _mono(sound, sample_rate)
    tempo, key = tempo_bpm(mono, sample_rate), key_of(mono, sample_rate)
    return {
        "bpm": _NOTHING if tempo is None else str(round(tempo)),
        "key": _NOTHING if key is None else short_key(key),
    }


def short_key(key: str) -> str:
    """A key as musicians write it in names of files.

    >>> short_key("F♯ minor"), short_key("E♭ major")
    ('F#m', 'Eb')
    """
    tonic, _, mode = key.partition(" ")
    plain = tonic.replace("♯", "#").replace("♭", "b")
    return f"{plain}m" if mode == "minor" else plain


def _mono(sound: Spool, sample_rate: int) -> np.ndarray:
    blocks, samples = [], 0
    for block in sound.blocks():
        blocks.append(block.mean(axis=0))
        samples += block.shape[1]
        if samples >= _LONGEST_S * sample_rate:
            break
    return np.concatenate(blocks)
