from __future__ import annotations

import numpy as np
import pytest

from unbraid.audio.rhythm import find_beats, onset_curve

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
