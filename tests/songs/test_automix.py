from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data.datasets import signal_of, write
from music.test_beats import RATE, clicks
from unbraid.data.index import build_index
from unbraid.errors import SettingsError
from unbraid.music.analysis import find_beats
from unbraid.music.beats import Beats
from unbraid.songs.alignment import delay_s
from unbraid.songs.automix import (
    AutomixSettings,
    Groove,
    automix,
    find_groove,
    fit,
)

STEMS = ("bass", "drums")


def song(root: Path, name: str, tempo: float, hertz: float, silence_s: float = 0.0) -> None:
    drums = clicks(tempo, 7.0)
    time = np.arange(len(drums)) / RATE
    bass = 0.3 * np.sin(2 * np.pi * hertz * time)
    lead = np.zeros(int(silence_s * RATE))
    for stem, sound in (("drums", 0.2 * drums), ("bass", bass)):
        write(root / "train" / name / f"{stem}.wav", np.concatenate([lead, sound])[None], RATE)


def groove(tempo: float, pitch: int = 0) -> Groove:
    times = tuple(float(t) for t in np.arange(0.2, 20, 60 / tempo))
    return Groove(0, Beats(tempo, times), tuple(map(float, np.eye(12)[pitch % 12])))


def test_songs_fit_if_tempo_and_key_are_near_also_at_half_the_tempo():
    settings = AutomixSettings()
    near = fit(groove(120), groove(110, -2), settings)
    assert near.tempo == pytest.approx(100 * (120 / 110 - 1))
    assert near.semitones == 2
    assert fit(groove(120), groove(61), settings).tempo == pytest.approx(100 * (120 / 122 - 1))
    assert fit(groove(120), groove(33), settings).tempo == pytest.approx(100 * (120 / 132 - 1))
    assert fit(groove(120), groove(85), settings) is None
    assert fit(groove(120), groove(120, 4), settings) is None


def test_the_delay_brings_beats_together():
    def delay(host: np.ndarray, other: np.ndarray) -> float:
        return delay_s(list(host), list(other))

    host = np.arange(1.0, 30.0, 0.5)
    assert delay(host, host) == pytest.approx(0.0, abs=0.003)
    moved = delay(host, host + 0.13) + 0.13
    assert abs(moved - round(moved / 0.5) * 0.5) < 0.006
    uneven = np.cumsum(np.random.default_rng(0).uniform(0.3, 0.8, 40))
    assert delay(uneven, uneven + 0.3) == pytest.approx(-0.3, abs=0.006)
    assert delay(uneven + 1.7, uneven) == pytest.approx(1.7, abs=0.006)


def test_a_song_begins_with_its_first_sound_and_needs_drums_and_bass():
    drums, bass = clicks(100.0, 8.0), 0.3 * np.sin(np.arange(8 * RATE) * 0.02)
    lead = np.zeros(RATE)
    sources = np.stack([np.concatenate([lead, x])[None] for x in (bass, drums)]).astype(np.float32)
    found = find_groove(sources, sources.sum(0), STEMS, RATE, AutomixSettings())
    assert found.start == pytest.approx(RATE, abs=20)
    sources[0] *= 1e-4
    assert find_groove(sources, sources.sum(0), STEMS, RATE, AutomixSettings()) is None


def test_mixes_keep_the_beat_of_their_host_and_repeat_themselves(tmp_path):
    root = tmp_path / "data"
    song(root, "A", 100.0, 55.0)
    song(root, "B", 108.0, 61.7, silence_s=1.0)
    song(root, "far", 100.0, 77.8)  # a tritone away from A
    (root / "train/A/track.json").write_text('{"licences": ["CC0: A"]}')
    index = build_index([root], "train", STEMS)
    settings = AutomixSettings(copies=1, seed=1)
    done = automix(index, tmp_path / "out", settings)
    assert [mix.track for mix in done] == [f"train/{name} mix 1" for name in ("A", "B", "far")]
    first = done[0].facts
    partners = {stem: of["song"] for stem, of in first["stems"].items()}
    assert sorted(partners.values()) == ["A", "B"]
    assert first["licences"] == ["CC0: A"]
    folder = tmp_path / "out" / done[0].track
    drums = signal_of(folder / "drums.flac").mean(0)
    tempo = find_beats(drums, RATE).tempo
    assert min(abs(tempo * 2**octave / 100.0 - 1) for octave in (-1, 0, 1)) < 2e-3
    mixture = sum(signal_of(folder / f"{stem}.flac") for stem in STEMS)
    assert np.abs(mixture).max() <= 1
    again = automix(index, tmp_path / "again", settings)
    assert [mix.facts for mix in again] == [mix.facts for mix in done]
    bytes_of = [(tmp_path / n / done[1].track / "bass.flac").read_bytes() for n in ("out", "again")]
    assert bytes_of[0] == bytes_of[1]
    gone = automix(index, tmp_path / "out", settings)
    assert not any(mix.made for mix in gone)
    with pytest.raises(SettingsError, match="begun with other copies"):
        automix(index, tmp_path / "out", AutomixSettings(copies=2, seed=1))


def test_songs_without_a_beat_are_only_copied(tmp_path):
    root = tmp_path / "data"
    song(root, "A", 100.0, 55.0)
    song(root, "B", 100.0, 55.0)
    write(root / "train/B/drums.wav", np.zeros((1, 7 * RATE), np.float32), RATE)
    index = build_index([root], "train", STEMS)
    done = automix(index, tmp_path / "out", AutomixSettings(copies=1, format="wav"))
    kinds = [(mix.track, mix.facts["kind"]) for mix in done]
    assert kinds[1:] == [("train/B mix 1", "copy"), ("train/B mix 2", "copy")]
    copied = signal_of(tmp_path / "out/train/B mix 1/bass.wav")
    assert np.array_equal(copied, np.repeat(signal_of(root / "train/B/bass.wav"), 2, 0))
    manifest = json.loads((tmp_path / "out" / "automix.json").read_text())
    assert manifest["stems"] == ["bass", "drums"]


def test_one_song_is_none_to_mix(tmp_path):
    song(tmp_path, "A", 100.0, 55.0)
    with pytest.raises(SettingsError, match="at least 2 songs"):
        automix(build_index([tmp_path], "train", STEMS), tmp_path / "out")
