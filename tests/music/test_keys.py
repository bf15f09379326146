from __future__ import annotations

import numpy as np
import pytest

from unbraid.music.keys import key_shift, pitch_classes

RATE = 22050


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
