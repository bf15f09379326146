from __future__ import annotations

import numpy as np
import pytest

from data.datasets import RATE, STEMS, make_dataset, noise, signal_of, write
from unbraid.data.check import check_dataset
from unbraid.data.excerpts import Excerpts, ExcerptSettings
from unbraid.data.index import build_index
from unbraid.data.part_check import LEVEL_POINTS
from unbraid.errors import SettingsError, UnbraidError


def test_levels_are_those_of_the_files(tmp_path):
    root = make_dataset(tmp_path, {"A": RATE * 2})
    quiet = noise(RATE * 2, 5, level=0.05)
    quiet[:, : RATE // 2] = 0
    write(root / "train/A/bass.wav", quiet)
    (track,) = check_dataset(root).tracks
    for stem in STEMS:
        signal = signal_of(root / f"train/A/{stem}.wav").astype(float)
        part = track.stems[stem]
        assert part.rms_db == pytest.approx(10 * np.log10(np.mean(signal**2)), abs=1e-6)
        assert part.peak_db == pytest.approx(20 * np.log10(np.abs(signal).max()), abs=1e-6)
        assert len(part.levels_db) == LEVEL_POINTS
    assert track.stems["bass"].silent_share == pytest.approx(0.25, abs=0.03)
    assert track.stems["bass"].levels_db[0] == -120
    mixture = sum(signal_of(root / f"train/A/{stem}.wav") for stem in STEMS).astype(float)
    assert track.mixture.rms_db == pytest.approx(10 * np.log10(np.mean(mixture**2)), abs=1e-4)
    assert (track.duration_s, track.problem, track.notes) == (2.0, None, ())


def test_likeness_clipping_offset_and_silence_are_told(tmp_path):
    sound = noise(RATE, 1)
    write(tmp_path / "train/A/bass.wav", sound)
    write(tmp_path / "train/A/drums.wav", 0.5 * sound + 0.1 * noise(RATE, 2))
    write(tmp_path / "train/A/other.wav", np.clip(20 * noise(RATE, 3), -1, 1))
    write(tmp_path / "train/A/vocals.wav", np.zeros((2, RATE), np.float32))
    write(tmp_path / "train/A/x.wav", sound * 0 + 0.1)
    (track,) = check_dataset(tmp_path).tracks
    said = "\n".join(track.notes)
    assert track.correlations["bass/drums"] > 0.9
    assert "bass and drums are alike" in said
    assert "other is clipped" in said
    assert "vocals is silent throughout" in said
    assert "x has an offset of +0.100" in said
    assert track.stems["vocals"].rms_db is None
    assert "bass/vocals" not in track.correlations


def test_a_mixture_that_is_not_the_sum_is_told(tmp_path):
    root = make_dataset(tmp_path, {"A": RATE, "B": RATE})
    total = sum(signal_of(root / f"train/A/{stem}.wav") for stem in STEMS)
    write(root / "train/A/mixture.wav", total, subtype="FLOAT")
    write(root / "train/B/mixture.wav", 0.9 * total, subtype="FLOAT")
    first, second = check_dataset(root).tracks
    assert first.sum_error_db < -100
    assert first.notes == ()
    assert "not the sum of the stems" in second.notes[0]


@pytest.mark.parametrize(
    ("signal", "rate", "said"),
    [(noise(999, 1), RATE, "lengths differ"), (noise(1000, 1), 9000, "sample rates differ")],
)
def test_a_track_with_a_problem_does_not_stop_the_others(tmp_path, signal, rate, said):
    root = make_dataset(tmp_path, {"A": 1000, "B": 1000})
    write(root / "train/A/drums.wav", signal, rate)
    found = check_dataset(root)
    assert said in found.tracks[0].problem
    assert "drums.wav" in found.tracks[0].problem
    assert found.tracks[1].problem is None
    assert found.problems == 1


def test_what_does_not_decode_is_named(tmp_path):
    root = make_dataset(tmp_path, {"A": 1000})
    (root / "train/A/drums.wav").write_text("no sound")
    assert "drums.wav" in check_dataset(root).tracks[0].problem


def test_the_whole_dataset_is_looked_over(tmp_path):
    root = make_dataset(tmp_path, {"A": 1000, "B": 1000})
    make_dataset(root, {"A": 900}, "valid", rate=9000)
    (root / "train/B/drums.wav").unlink()
    found = check_dataset(root)
    assert [(t.split, t.name) for t in found.tracks] == [
        *[("train", "A"), ("train", "B"), ("valid", "A")],
    ]
    said = "\n".join(found.notes)
    assert "8000, 9000 Hz" in said
    assert "without drums: 1 of 3 tracks" in said
    assert "A is in train and in valid" in said
    assert found.stems == ("drums", "bass")
    assert len(check_dataset(root, ["valid"]).tracks) == 1
    with pytest.raises(SettingsError, match="does not exist"):
        check_dataset(tmp_path / "none", ["train"])


def test_a_root_without_splits_is_said(tmp_path):
    with pytest.raises(SettingsError, match="no folder 'train'"):
        check_dataset(tmp_path)


def odd_tracks() -> dict[str, np.ndarray]:
    """What a track's bass holds; its drums hold the opposite or nothing."""
    sound = noise(2000, 7)
    apart = np.stack([sound[0], -sound[0]])  # silent once it is averaged to mono
    return {
        "fine": sound,
        "silent": sound * 0,
        "constant": sound * 0 + 0.25,
        "out of phase": apart,
        "one sample": sound[:, :1],
        "two samples": np.array([[0.5, -0.5]] * 2, np.float32),
        "not a number": sound * np.float32(np.nan),
    }


@pytest.mark.parametrize("name", odd_tracks())
def test_a_dataset_is_refused_by_its_check_where_training_refuses_it(tmp_path, monkeypatch, name):
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / "cache"))
    signal = odd_tracks()[name]
    write(tmp_path / "train/A/bass.wav", signal, subtype="FLOAT")
    write(tmp_path / "train/A/drums.wav", 0 * np.nan_to_num(signal), subtype="FLOAT")
    (track,) = check_dataset(tmp_path).tracks
    refused = None
    try:
        Excerpts(build_index([tmp_path], "train", STEMS), STEMS, RATE, 2)
    except UnbraidError as error:
        refused = str(error)
    assert (refused is None) == (track.problem is None) == (name in ("fine", "two samples"))
    if "sample" in name and refused:
        assert "too short" in refused and "too short" in track.problem
    elif refused and name != "not a number":
        assert "silent" in refused and "silent" in track.problem


def test_a_stem_is_trained_however_its_files_and_the_recipe_spell_it(tmp_path, monkeypatch):
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / "cache"))
    root = make_dataset(tmp_path, {"A": 1000}, stems=("Bass", "DRUMS", "Mixture"))
    for stems in (("bass", "drums"), ("Drums", "Bass")):
        index = build_index([root], "train", stems)
        assert index.stems == stems and index.tracks[0].mixture is not None
        settings = ExcerptSettings(excerpt_s=0.1, normalize=False)
        item = Excerpts(index, stems, RATE, 2, settings)[0]
        for source, stem in zip(item, stems, strict=True):
            file = root / "train/A" / {"bass": "Bass.wav", "drums": "DRUMS.wav"}[stem.lower()]
            np.testing.assert_array_equal(source, signal_of(file)[:, : item.shape[-1]])
