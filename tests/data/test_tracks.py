"""Datasets as folders."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from unbraid.data.tracks import MUSDB_VALIDATION, dataset_tracks, find_tracks
from unbraid.errors import SettingsError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def test_a_track_is_a_folder_with_stems_and_perhaps_a_mixture(tmp_path):
    touch(tmp_path, "B/vocals.flac", "B/bass.wav", "A/mixture.WAV", "A/x.ogg", "A/notes.txt")
    touch(tmp_path, ".hidden/vocals.wav", "A/.vocals.wav", "C/readme.md")
    first, second = find_tracks(tmp_path)
    assert (first.name, list(first.stems), first.mixture) == (
        "A",
        ["x"],
        tmp_path / "A/mixture.WAV",
    )
    assert (second.name, list(second.stems), second.mixture) == ("B", ["bass", "vocals"], None)


def test_names_are_paths_below_the_root_and_a_lone_folder_is_a_track(tmp_path):
    touch(tmp_path, "disc 1/song/bass.wav")
    assert [track.name for track in find_tracks(tmp_path)] == ["disc 1/song"]
    assert [track.name for track in find_tracks(tmp_path / "disc 1" / "song")] == ["song"]


def test_links_are_followed_but_not_in_a_circle(tmp_path):
    touch(tmp_path, "A/bass.wav")
    (tmp_path / "B").symlink_to(tmp_path / "A")
    (tmp_path / "A" / "back").symlink_to(tmp_path)
    assert [track.name for track in find_tracks(tmp_path)] == ["A", "B"]


def test_names_are_composed_however_they_are_stored(tmp_path):
    touch(tmp_path, unicodedata.normalize("NFD", "Für/Bäss.wav"))
    (track,) = find_tracks(tmp_path)
    assert (track.name, list(track.stems)) == ("Für", ["bäss"])


def test_two_files_of_one_stem_are_a_problem_of_their_track(tmp_path):
    touch(tmp_path, "A/bass.wav", "A/bass.flac", "B/bass.wav")
    first, second = find_tracks(tmp_path)
    assert "two files of bass" in (first.problem or "")
    assert second.problem is None


SPELLINGS = ["Mixture", "MIXTURE", "mix", "Mix", "mixdown", "Full Mix", "full_mix", "mixture "]


@pytest.mark.parametrize("name", SPELLINGS)
def test_the_mixture_is_no_stem_however_it_is_spelled(tmp_path, name):
    touch(tmp_path, f"A/{name}.flac", "A/Bass.wav", "A/VOCALS.WAV")
    (track,) = find_tracks(tmp_path)
    assert track.mixture == tmp_path / "A" / f"{name}.flac"
    assert list(track.stems) == ["bass", "vocals"]


@pytest.mark.parametrize(
    "names",
    [
        ("mixture.wav", "mix.wav"),
        ("Mix.wav", "mix.flac"),
        ("Vocals.wav", "vocals.wav"),
        ("vocals.flac", "VOCALS.wav"),
    ],
)
def test_two_spellings_of_one_part_are_a_problem_that_names_both(tmp_path, names):
    touch(tmp_path, *(f"A/{name}" for name in names), "A/bass.wav")
    if len(list((tmp_path / "A").iterdir())) < 3:
        pytest.skip("this disk holds both names for the same")
    (track,) = find_tracks(tmp_path)
    assert all(name in track.problem for name in names)


def test_names_that_only_begin_like_the_mixture_are_stems(tmp_path):
    touch(tmp_path, "A/mix bus reverb.wav", "A/remix.wav")
    assert list(find_tracks(tmp_path)[0].stems) == ["mix bus reverb", "remix"]


def test_musdb_has_its_validation_songs_by_name(tmp_path):
    names = [f"train/{name}/vocals.wav" for name in (*MUSDB_VALIDATION, "Other - Song")]
    touch(tmp_path, *names, "test/T - T/vocals.wav")
    assert len(MUSDB_VALIDATION) == 14
    assert [t.name for t in dataset_tracks(tmp_path, "valid")] == sorted(MUSDB_VALIDATION)
    assert [t.name for t in dataset_tracks(tmp_path, "train")] == ["Other - Song"]
    assert [t.name for t in dataset_tracks(tmp_path, "test")] == ["T - T"]


def test_a_folder_valid_is_what_it_says(tmp_path):
    touch(tmp_path, f"train/{MUSDB_VALIDATION[0]}/vocals.wav", "valid/V/vocals.wav")
    assert [t.name for t in dataset_tracks(tmp_path, "valid")] == ["V"]
    assert [t.name for t in dataset_tracks(tmp_path, "train")] == [MUSDB_VALIDATION[0]]


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(SettingsError, match="does not exist"):
        find_tracks(tmp_path / "none")
    with pytest.raises(SettingsError, match="holds no sound files"):
        find_tracks(tmp_path)
    touch(tmp_path, "train/A/vocals.wav")
    with pytest.raises(SettingsError, match="no folder 'test'"):
        dataset_tracks(tmp_path, "test")
    with pytest.raises(SettingsError, match="none of MUSDB18's validation songs"):
        dataset_tracks(tmp_path, "valid")
    with pytest.raises(SettingsError, match="a split is one of"):
        dataset_tracks(tmp_path, "dev")
