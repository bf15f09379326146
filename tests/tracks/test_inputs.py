"""Which songs arguments mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from unbraid.tracks.inputs import find_inputs


@pytest.fixture
def music(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (
        "music/b.mp3",
        "music/a.WAV",
        "music/cover.jpg",
        "music/.hidden.mp3",
        "music/.trash/x.mp3",
        "music/rock/live/c.flac",
        "music/clip.mp4",
    ):
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def found(*arguments, root="out"):
    return [(str(t.path), t.folder) for t in find_inputs(arguments, Path(root))]


def test_a_folder_gives_its_songs_sorted_with_their_sub_folders(music):
    assert found("music") == [
        ("music/a.WAV", ()),
        ("music/b.mp3", ()),
        ("music/clip.mp4", ()),
        ("music/rock/live/c.flac", ("rock", "live")),
    ]


def test_a_song_named_twice_is_one(music):
    Path("music/link.mp3").symlink_to("b.mp3")
    paths = found("music/b.mp3", "./music/b.mp3", "music", str(music / "music/b.mp3"))
    assert sum(name.endswith(("b.mp3", "link.mp3")) for name, _ in paths) == 1


def test_the_order_of_arguments_changes_nothing(music):
    assert found("music/b.mp3", "music/a.WAV") == found("music/a.WAV", "music/b.mp3")


def test_patterns_that_the_shell_left_alone_are_matched(music):
    assert [name for name, _ in found("music/*.mp3")] == ["music/b.mp3"]
    assert [name for name, _ in found("music/**/*.flac")] == ["music/rock/live/c.flac"]


def test_a_name_like_a_pattern_is_that_file_first(music):
    Path("music/x[1].mp3").touch()
    Path("music/x1.mp3").touch()
    assert [name for name, _ in found("music/x[1].mp3")] == ["music/x[1].mp3"]


def test_any_file_that_is_named_is_a_song(music):
    assert found("music/cover.jpg") == [("music/cover.jpg", ())]


def test_stems_of_an_earlier_run_are_no_songs(music):
    Path("music/separated/b").mkdir(parents=True)
    Path("music/separated/b/drums.wav").touch()
    assert "separated" not in str(found("music", root="music/separated"))


def test_links_in_a_circle_end(music):
    Path("music/rock/up").symlink_to("..", target_is_directory=True)
    assert len(found("music")) == 4


@pytest.mark.parametrize("argument", ["nope/*.mp3", "", "a\0b", "empty", "nope", "music/b.mp3/x"])
def test_what_is_not_there_is_a_problem_of_its_own(music, argument):
    Path("empty").mkdir()
    tracks = find_inputs([argument, "music/b.mp3"], Path("out"))
    assert sorted(track.problem is None for track in tracks) == [False, True]
