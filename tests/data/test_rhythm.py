from __future__ import annotations

import numpy as np
import pytest

from unbraid.data.rhythm import find_beats, key_shift, onset_curve, pitch_classes

RATE = 22050


def clicks(tempo: float, seconds: float = 20.0, first_s: float = 0.3) -> np.ndarray:
    out = np.zeros(int(seconds * RATE), np.float32)
    hit = np.random.default_rng(0).standard_normal(900) * np.exp(-np.arange(900) / 150)
    for at in np.arange(first_s, seconds - 0.1, 60 / tempo):
        start = int(at * RATE)
        out[start : start + 900] += hit
    return out + 1e-4 * np.random.default_rng(1).standard_normal(len(out)).astype(np.float32)


@pytest.mark.parametrize("tempo", [71.3, 100.0, 128.5, 174.0])
def test_tempo_and_beats_of_a_steady_pulse(tempo):
    beats = find_beats(clicks(tempo), RATE)
    ratio = beats.tempo / tempo
    assert min(abs(ratio * 2**octave - 1) for octave in (-1, 0, 1)) < 1e-3
    phase = (np.array(beats.times_s) - 0.3) * tempo / 60
    assert np.median(np.abs(phase - phase.round()) * 60 / tempo) < 0.012


def test_what_has_no_pulse_has_no_beats():
    assert find_beats(np.zeros(RATE * 5, np.float32), RATE) is None
    assert find_beats(np.zeros(100, np.float32), RATE) is None
    assert onset_curve(np.zeros(RATE, np.float32), RATE)[0].size == 0


def test_pitch_classes_are_those_of_the_notes():
    time = np.arange(RATE * 4) / RATE
    low_a = np.sin(2 * np.pi * 55 * time) + 0.5 * np.sin(2 * np.pi * 110 * time)
    low_e = np.sin(2 * np.pi * 41.2 * time)
    found = pitch_classes(np.concatenate([low_a, low_e, 0.001 * low_e]).astype(np.float32), RATE)
    assert found.sum() == pytest.approx(1)
    assert found[9] == pytest.approx(0.5, abs=0.05)
    assert found[4] == pytest.approx(0.5, abs=0.05)
    assert pitch_classes(np.zeros(RATE, np.float32), RATE) is None


def test_the_shift_of_a_song_undoes_its_transposition():
    classes = np.array([0.3, 0, 0.1, 0, 0.2, 0, 0, 0.3, 0, 0.1, 0, 0])
    for semitones in range(-5, 7):
        assert key_shift(classes, np.roll(classes, semitones)) == semitones
