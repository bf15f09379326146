"""Chords of made-up harmony, whose names are known."""

from __future__ import annotations

import numpy as np
import pytest

from unbraid.music.analysis import analyse

RATE = 22050
BEAT = 0.5
PROGRESSION = ("C", "Am", "F", "G")
NOTES = {"C": (48, 52, 55), "Am": (45, 48, 52), "F": (41, 45, 48), "G": (43, 47, 50)}


def tone(pitch: int, time: np.ndarray) -> np.ndarray:
    hz = 440 * 2 ** ((pitch - 69) / 12)
    return sum(np.sin(2 * np.pi * hz * k * time) / k**1.5 for k in (1, 2, 3, 4))


def song(shift: int = 0, rounds: int = 3) -> dict[str, np.ndarray]:
    """Four beats of each chord, with clicks for drums and roots for a bass."""
    time = np.arange(int(4 * BEAT * RATE)) / RATE
    fade = np.minimum(1, np.minimum(time, time[::-1]) / 0.01)
    bars, roots = [], []
    for name in PROGRESSION * rounds:
        notes = [pitch + shift for pitch in NOTES[name]]
        bars.append(fade * sum(tone(pitch + 12, time) for pitch in notes))
        roots.append(fade * tone(notes[0], time))
    rng = np.random.default_rng(0)
    whole = np.arange(len(time) * len(bars)) / RATE
    drums = rng.standard_normal(len(whole)) * np.exp(-(whole % BEAT) / 0.02)
    drums += 3 * np.sin(2 * np.pi * 60 * whole) * np.exp(-(whole % BEAT) / 0.05) * (whole % 2 < 0.4)
    stems = {"drums": drums, "bass": np.concatenate(roots), "other": np.concatenate(bars)}
    return {name: (0.1 * one).astype(np.float32) for name, one in stems.items()}


def names(stems: dict[str, np.ndarray]) -> list[str]:
    return [chord.name for chord in analyse(stems, RATE).chords]


def test_a_progression_is_named_and_timed():
    chords = analyse(song(), RATE).chords
    assert [chord.name for chord in chords] == [*PROGRESSION] * 3
    starts = [chord.start_s for chord in chords]
    assert np.allclose(starts, 2.0 * np.arange(12), atol=0.06)


@pytest.mark.parametrize(
    ("shift", "named"), [(2, ["D", "Bm", "G", "A"]), (-2, ["Bb", "Gm", "Eb", "F"])]
)
def test_a_transposed_song_has_transposed_chords_spelled_as_its_key_is(shift, named):
    assert names(song(shift)) == named * 3


def test_drums_and_vocals_do_not_change_the_chords():
    stems = song()
    time = np.arange(len(stems["bass"])) / RATE
    stems["vocals"] = (0.3 * np.sin(2 * np.pi * 277.2 * time)).astype(np.float32)  # a wrong C#
    assert names(stems) == [*PROGRESSION] * 3


def test_where_nothing_sounds_there_is_no_chord():
    stems = song()
    for name in ("bass", "other"):
        stems[name][8 * RATE : 16 * RATE] = 0
    found = names(stems)
    assert found == [*PROGRESSION, "", *PROGRESSION]


def test_a_song_of_drums_alone_has_beats():
    found = analyse({"drums": song()["drums"]}, RATE)
    assert found.beats is not None
    assert found.beats.tempo == pytest.approx(120, rel=2e-3)
