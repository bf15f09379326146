from __future__ import annotations

import numpy as np
import pytest

from data.datasets import RATE, STEMS, make_dataset, noise, signal_of, write
from unbraid.audio.files import read
from unbraid.data import kept_index
from unbraid.data.index import build_index
from unbraid.errors import AudioReadError, SettingsError


def test_a_track_has_the_level_of_the_sum_of_its_stems(tmp_path):
    root = make_dataset(tmp_path, {"A": 9000})
    track = build_index([root], "train", STEMS).tracks[0]
    mono = sum(signal_of(root / f"train/A/{s}.wav").astype(float) for s in STEMS).mean(axis=0)
    assert track.mean == pytest.approx(mono.mean(), abs=1e-7)
    assert track.std == pytest.approx(mono.std(ddof=1), rel=1e-6)
    assert (track.samples, track.sample_rate, track.channels) == (9000, RATE, 2)


def test_a_mixture_file_counts_more_than_the_sum(tmp_path):
    root = make_dataset(tmp_path, {"A": 9000})
    mixture = noise(9000, 77, channels=1, level=0.02)
    write(root / "train/A/mixture.flac", mixture)
    track = build_index([root], "train", ["bass"]).tracks[0]
    assert track.std == pytest.approx(mixture.std(), rel=1e-2)
    assert list(track.stems) == ["bass"]


def test_loudness_is_that_of_the_standard(tmp_path):
    time = np.arange(48000 * 3) / 48000
    tone = np.sin(2 * np.pi * 997 * time)[None].astype(np.float32)
    write(tmp_path / "train/A/bass.wav", np.repeat(0.1 * tone, 2, 0), 48000, "PCM_24")
    track = build_index([tmp_path], "train", ["bass"]).tracks[0]
    assert track.loudness_lufs == pytest.approx(-20.0, abs=0.05)


def test_files_are_looked_at_again_only_if_they_change(tmp_path, monkeypatch):
    root = make_dataset(tmp_path, {"A": 9000, "B": 8000})
    looked: list[str] = []
    look_at = kept_index.look_at
    monkeypatch.setattr(kept_index, "look_at", lambda p: looked.append(p.name) or look_at(p))
    first = build_index([root], "train", STEMS)
    assert len(looked) == 4
    assert build_index([root], "train", STEMS) == first
    assert len(looked) == 4
    for stem in STEMS:
        write(root / f"train/B/{stem}.wav", noise(7000, 5))
    second = build_index([root], "train", STEMS)
    assert len(looked) == 6
    assert [t.samples for t in second.tracks] == [9000, 7000]
    assert second.tracks[1].std != first.tracks[1].std
    assert second.fingerprint() != first.fingerprint()


def test_any_format_counts_its_samples(tmp_path):
    for suffix in (".wav", ".flac", ".ogg"):
        make_dataset(tmp_path, {suffix[1:]: 5003}, suffix=suffix)
    for track in build_index([tmp_path], "train", STEMS).tracks:
        assert track.samples == read(track.stems["bass"].path)[0].shape[1]
        assert track.name == "ogg" or track.samples == 5003


def test_a_flac_that_was_cut_off_is_named(tmp_path):
    root = make_dataset(tmp_path, {"A": 60000}, suffix=".flac")
    path = root / "train/A/drums.flac"
    path.write_bytes(path.read_bytes()[:60000])
    with pytest.raises((SettingsError, AudioReadError), match=r"drums\.flac"):
        build_index([root], "train", STEMS)


@pytest.mark.parametrize(
    ("signal", "rate", "said"),
    [(noise(8999, 1), RATE, r"drums\.wav' has 8999 samples"), (noise(9000, 1), 9000, "9000 Hz")],
)
def test_unequal_files_are_named(tmp_path, signal, rate, said):
    root = make_dataset(tmp_path, {"A": 9000})
    write(root / "train/A/drums.wav", signal, rate)
    with pytest.raises(SettingsError, match=said):
        build_index([root], "train", STEMS)


def test_a_missing_stem_is_named_or_silent(tmp_path):
    root = make_dataset(tmp_path, {"A": 9000, "B": 9000})
    (root / "train/B/drums.wav").unlink()
    with pytest.raises(SettingsError, match="B' has no file of drums; its stems are bass"):
        build_index([root], "train", STEMS)
    with pytest.raises(SettingsError, match="B' has no file of drums"):
        build_index([root], "train", None)
    index = build_index([root], "train", STEMS, missing="silence")
    assert list(index.tracks[1].stems) == ["bass"]
    with pytest.raises(SettingsError, match="has no file of vocals"):
        build_index([root], "train", ["vocals"], missing="silence")


def test_what_is_no_sound_or_no_number_is_named(tmp_path):
    root = make_dataset(tmp_path, {"A": 9000})
    (root / "train/A/bass.wav").write_text("no sound")
    with pytest.raises(AudioReadError, match=r"bass\.wav"):
        build_index([root], "train", STEMS)
    broken = noise(9000, 3)
    broken[0, 5] = np.nan
    write(root / "train/A/bass.wav", broken, subtype="FLOAT")
    with pytest.raises(AudioReadError, match="not finite numbers"):
        build_index([root], "train", STEMS)


def test_several_roots_and_their_weights(tmp_path):
    one = make_dataset(tmp_path / "one", {"A": 9000})
    two = make_dataset(tmp_path / "two", {"A": 9000, "B": 9000})
    make_dataset(tmp_path / "two", {"V": 9000}, "valid")
    index = build_index([one, two], "train", STEMS, weights=[1, 3])
    assert [(t.root, t.name) for t in index.tracks] == [(0, "A"), (1, "A"), (1, "B")]
    assert [t.name for t in build_index([one, two], "valid", STEMS).tracks] == ["V"]
    with pytest.raises(
        SettingsError, match=r"one weight for each dataset, or none: 2 datasets, 1 weight$"
    ):
        build_index([one, two], "train", STEMS, weights=[1])
    with pytest.raises(SettingsError, match="above 0"):
        build_index([one, two], "train", STEMS, weights=[1, 0])
    with pytest.raises(SettingsError, match="given twice"):
        build_index([one, one], "train", STEMS)
    with pytest.raises(SettingsError, match="does not exist"):
        build_index([one, tmp_path / "three"], "valid", STEMS)


def test_what_was_looked_at_before_a_mistake_is_known_when_it_is_mended(tmp_path, monkeypatch):
    root = make_dataset(tmp_path / "data", dict.fromkeys("ABC", 4000))
    broken = root / "train/C/drums.wav"
    sound = broken.read_bytes()
    broken.write_bytes(b"no sound")
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / "cache"))
    with pytest.raises(AudioReadError):
        build_index([root], "train", STEMS, workers=1)
    broken.write_bytes(sound)
    looked_at = []
    real = kept_index.look_at
    monkeypatch.setattr(kept_index, "look_at", lambda p: looked_at.append(p) or real(p))
    assert len(build_index([root], "train", STEMS).tracks) == 3
    assert {path.parent.name for path in looked_at} == {"C"}


def test_a_sample_of_tracks_is_always_the_same(tmp_path):
    index = build_index([make_dataset(tmp_path, dict.fromkeys("ABCDE", 4000))], "train", STEMS)
    assert index.sample(3) == index.sample(3)
    assert len(index.sample(3).tracks) == 3
    assert index.sample(9) == index


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path, monkeypatch):
    root = make_dataset(tmp_path / "data", {"A": 4000})
    (tmp_path / "file").touch()
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / "file"))
    assert len(build_index([root], "train", STEMS).tracks) == 1
    kept = tmp_path / "cache"
    monkeypatch.setenv("UNBRAID_CACHE", str(kept))
    build_index([root], "train", STEMS)
    (entry,) = (kept / "index").iterdir()
    entry.write_text("no json")
    assert len(build_index([root], "train", STEMS).tracks) == 1
    assert list((kept / "index").iterdir()) == [entry]
