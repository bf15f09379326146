"""Sounds at a glance: levels and pictures in constant memory."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from small_songs import noise, write_song
from unbraid.pages.pictures import stems_picture
from unbraid.pages.soundprint import BANDS, COLUMNS, soundprint, soundprint_of


def test_levels_of_a_sine_are_those_of_the_books():
    sine = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(48000) / 48000)
    seen = soundprint_of([np.stack([sine, sine]).astype(np.float32)], 2, 48000)
    assert seen.seconds == 1.0
    assert seen.peak_db == pytest.approx(20 * math.log10(0.5), abs=0.01)
    assert seen.rms_db == pytest.approx(20 * math.log10(0.5) - 3.01, abs=0.01)


def test_a_tone_shows_in_the_band_of_its_frequency():
    for hz in (100, 1000, 8000):
        sine = np.sin(2 * np.pi * hz * np.arange(44100) / 44100)[None].astype(np.float32)
        seen = soundprint_of([sine], 1, 44100)
        centres = np.geomspace(40, 16000, BANDS)
        loudest = centres[int(seen.bands_db[:, 10].argmax())]
        assert loudest == pytest.approx(hz, rel=0.08)


@pytest.mark.parametrize("samples", [1, 255, 256, 257, 2048, 2 * COLUMNS * 256, 2_000_000])
def test_any_length_gives_the_whole_outline_in_few_columns(samples):
    signal = np.zeros((1, samples), np.float32)
    signal[0, samples // 2], signal[0, -1] = -0.5, 0.75
    seen = soundprint_of([signal], 1, 44100)
    assert 1 <= len(seen.low) <= 2 * COLUMNS
    assert seen.bands_db.shape[1] <= 2 * COLUMNS
    assert seen.high[-1] == 0.75
    assert samples == 1 or seen.low.min() == -0.5


def test_silence_has_no_level():
    seen = soundprint_of([np.zeros((2, 5000), np.float32)], 2, 44100)
    assert (seen.peak_db, seen.rms_db) == (-math.inf, -math.inf)


def test_blocks_of_any_size_give_the_same(tmp_path):
    signal = noise(0.5).astype(np.float32)
    whole = soundprint_of([signal], 2, 44100)
    parts = soundprint_of(np.array_split(signal, 13, axis=1), 2, 44100)
    np.testing.assert_allclose(parts.bands_db, whole.bands_db, atol=1e-6)


def test_a_picture_has_a_row_for_each_sound(tmp_path):
    paths = {name: write_song(tmp_path / f"{name}.wav", noise(0.3)) for name in ("mixture", "x")}
    stems_picture(paths, tmp_path / "picture.png", width=640)
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.size == (640, 8 + 2 * 92)


def test_a_soundprint_of_a_file_is_that_of_its_samples(tmp_path):
    signal = noise(0.2)
    seen = soundprint(write_song(tmp_path / "a.wav", signal, subtype="FLOAT"))
    assert seen.peak_db == pytest.approx(20 * math.log10(np.abs(signal).max()), abs=1e-4)
