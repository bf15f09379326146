"""The laws of the beat tracker, on clicks whose tempo is known."""

from __future__ import annotations

import numpy as np
import pytest

from unbraid.music.analysis import analyse, find_beats

RATE = 22050
NOISE = np.random.default_rng(0).standard_normal(900) * np.exp(-np.arange(900) / 150)


def clicks_at(times, seconds: float, rate: int = RATE) -> np.ndarray:
    out = 1e-4 * np.random.default_rng(1).standard_normal(int(seconds * rate)).astype(np.float32)
    for at in times:
        start = int(at * rate)
        hit = NOISE[: len(out) - start]
        out[start : start + len(hit)] += hit
    return out


def clicks(tempo: float, seconds: float = 20.0, first_s: float = 0.3) -> np.ndarray:
    return clicks_at(np.arange(first_s, seconds - 0.1, 60 / tempo), seconds)


def errors(found, true) -> np.ndarray:
    """How far each true beat is from the nearest found one, in seconds."""
    return np.abs(np.asarray(found)[:, None] - np.asarray(true)[None, :]).min(axis=0)


@pytest.mark.parametrize("tempo", [71.3, 100.0, 128.5, 174.0])
def test_tempo_and_beats_of_a_steady_pulse(tempo):
    beats = find_beats(clicks(tempo), RATE)
    ratio = beats.tempo / tempo
    assert min(abs(ratio * 2**octave - 1) for octave in (-1, 0, 1)) < 1e-3
    phase = (np.array(beats.times_s) - 0.3) * tempo / 60
    assert np.median(np.abs(phase - phase.round()) * 60 / tempo) < 0.012


def test_beats_of_a_later_song_are_later():
    early, late = (find_beats(clicks(100, first_s=first), RATE) for first in (0.3, 0.47))
    assert late.tempo == pytest.approx(early.tempo, rel=1e-3)
    inner = np.array([t for t in early.times_s if 1 < t < 18])
    assert errors(late.times_s, inner + 0.17).max() < 0.008


def test_beats_do_not_depend_on_the_sample_rate_or_the_level():
    fine = np.repeat(clicks(100), 2)  # each sample twice: the same sound at twice the rate
    reference = find_beats(clicks(100), RATE)
    for beats in (find_beats(fine, 2 * RATE), find_beats(0.01 * clicks(100), RATE)):
        assert beats.tempo == pytest.approx(reference.tempo, rel=1e-3)
        assert errors(beats.times_s, [t for t in reference.times_s if 1 < t < 18]).max() < 0.01


def test_a_tempo_that_drifts_is_followed():
    seconds = 40.0
    phase, times = 0.0, []
    for step in range(int(seconds * 1000)):  # from 96 to 120 beats a minute
        before, phase = phase, phase + (96 + 24 * step / (seconds * 1000)) / 60_000
        if int(phase) > int(before):
            times.append(step / 1000)
    beats = find_beats(clicks_at(times, seconds), RATE)
    assert np.mean(errors(beats.times_s, times) < 0.03) > 0.95
    assert len(beats.times_s) == pytest.approx(len(times), abs=2)


def test_beats_go_on_where_the_drums_rest():
    times = np.arange(0.3, 39, 0.6)
    rest = (times > 15) & (times < 21)
    beats = find_beats(clicks_at(times[~rest], 40), RATE)
    assert errors(beats.times_s, times[rest]).max() < 0.02


def test_what_has_no_pulse_has_no_beats():
    assert find_beats(np.zeros(RATE * 5, np.float32), RATE) is None
    assert find_beats(np.zeros(100, np.float32), RATE) is None
    assert analyse({"drums": np.zeros((2, 0), np.float32)}, RATE).beats is None


@pytest.mark.parametrize("beats_in_bar", [3, 4])
def test_bars_begin_where_chords_change_and_the_bass_drum_plays(beats_in_bar):
    beat, bars, lead = 0.5, 12, 2
    time = np.arange(int((bars * beats_in_bar + lead) * beat * RATE)) / RATE
    count = np.floor(time / beat + 0.01).astype(int) - lead
    root = np.where((count // beats_in_bar) % 2 == 0, 110.0, 146.8)
    chord = sum(np.sin(2 * np.pi * root * step * time) for step in (1, 1.26, 1.5))
    kick = (
        np.sin(2 * np.pi * 60 * time) * np.exp(-(time % beat) / 0.06) * (count % beats_in_bar == 0)
    )
    hat = clicks_at(np.arange(0, time[-1] - 0.05, beat), len(time) / RATE)[: len(time)]
    stems = {"drums": kick + 0.2 * hat, "other": 0.1 * chord}
    found = analyse({name: one.astype(np.float32) for name, one in stems.items()}, RATE).beats
    assert found.tempo == pytest.approx(120, rel=2e-3)
    assert found.beats_in_bar == beats_in_bar
    first = np.array(found.times_s)[found.first :: beats_in_bar]
    true = (lead + beats_in_bar * np.arange(bars)) * beat
    assert errors(first, true).max() < 0.06
