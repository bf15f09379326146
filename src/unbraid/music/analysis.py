"""From stems to what musicians count by: beats, bars and chords."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from unbraid.music.bars import find_bars
from unbraid.music.beats import Beats, track_beats
from unbraid.music.chords import Chord, find_chords
from unbraid.music.chroma import chroma_of
from unbraid.music.features import Features, hear
from unbraid.music.onsets import find_onsets
from unbraid.shapes import Float


@dataclass(frozen=True)
class Music:
    """What was found in a song.

    Attributes:
        beats: with their bars; None if nothing repeats in the song.
        chords: one after the other; empty without beats.
    """

    beats: Beats | None
    chords: tuple[Chord, ...]


def analyse(stems: Mapping[str, np.ndarray], sample_rate: int) -> Music:
    """Beats, bars and chords of a song, from its stems.

    Stems are known by their names: "drums", "bass", "vocals"; all others are harmony. A song that
    was not separated may be given as one stem, with less success.

    Args:
        stems: name to (channels, samples) or (samples,), all of one length.
        sample_rate: Hz.

    >>> clicks = np.zeros(44100 * 12, np.float32)
    >>> for beat in range(24):
    ...     clicks[beat * 22050 :][:300] += np.hanning(300) * (-1.0) ** np.arange(300)
    >>> round(analyse({"drums": clicks}, 44100).beats.tempo)
    120
    """
    return analyse_features({name: hear([one], sample_rate) for name, one in stems.items()})


def analyse_features(stems: Mapping[str, Features]) -> Music:
    """The same, from features that `hear` made of the stems."""
    onsets = find_onsets(stems)
    tracked = track_beats(onsets)
    if tracked is None:
        return Music(None, ())
    chroma, rate = chroma_of(stems)
    bars = find_bars(tracked.times_s, onsets, chroma, rate)
    times = np.array(tracked.times_s)
    if bars.half:
        times = (times[1:] + times[:-1]) / 2
    beats = replace(
        tracked,
        times_s=tuple(map(float, times)),
        beats_in_bar=bars.beats_in_bar,
        first=bars.first,
    )
    return Music(beats, find_chords(stems, beats.times_s, beats.beats_in_bar, beats.first))


def find_beats(mono: Float[np.ndarray, " t"], sample_rate: int) -> Beats | None:
    """Beats of one recording, without bars; None if nothing repeats in it.

    Args:
        mono: (samples,), best of drums alone.
        sample_rate: Hz.
    """
    return track_beats(find_onsets({"drums": hear([mono], sample_rate)}))
