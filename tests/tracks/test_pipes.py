"""Songs through pipes, links to one song, and stems that were moved."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

import unbraid
from small_songs import LowHigh, floats, noise, write_song
from unbraid.tracks.inputs import find_inputs
from unbraid.tracks.names import InputTrack
from unbraid.tracks.pipes import copied_pipes

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")


@pytest.fixture
def song(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_song(tmp_path / "song.wav", noise(0.2))


def pipe_of(song: Path, name: str = "live.wav") -> Path:
    """A named pipe into which another thread pours the song."""
    pipe = song.with_name(name)
    os.mkfifo(pipe)
    threading.Thread(target=lambda: pipe.write_bytes(song.read_bytes()), daemon=True).start()
    return pipe


def test_a_named_pipe_separates_as_the_file_behind_it(song):
    separator = unbraid.Separator(LowHigh())
    of_file = separator.separate_file(song, "a")
    of_pipe = separator.separate_file(pipe_of(song), "b")
    assert of_pipe.input.endswith("live.wav") and of_pipe.outputs["low"] == Path("b/live/low.wav")
    for stem, path in of_file.outputs.items():
        assert path.read_bytes() == of_pipe.outputs[stem].read_bytes()


def test_standard_input_is_a_song(song, monkeypatch):
    with song.open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        (track,) = find_inputs(["-", "-"], Path("out"))
        with copied_pipes([track]) as (copied,):
            assert copied.file.read_bytes() == song.read_bytes()
            assert (str(copied.path), copied.name) == ("-", "stdin")
    assert not copied.file.exists()


def test_a_file_named_like_standard_input_is_given_with_its_folder(song):
    shutil.copy(song, "-")
    assert [str(t.path) for t in find_inputs([str(Path.cwd() / "-")], Path("out"))] == [
        str(Path.cwd() / "-")
    ]


def test_what_cannot_be_copied_is_a_problem_of_its_own(song, monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with copied_pipes([InputTrack(Path("-")), InputTrack(song)]) as (bad, good):
        assert "standard input cannot be copied" in bad.problem
        assert good == InputTrack(song)
    leader, follower = os.openpty()
    with os.fdopen(follower) as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        with copied_pipes([InputTrack(Path("-"))]) as (bad,):
            assert "is a terminal" in bad.problem
    os.close(leader)


def test_an_error_names_the_pipe_and_not_its_copy(song):
    separator = unbraid.Separator(LowHigh())
    with copied_pipes([InputTrack(pipe_of(write_text(song)))]) as tracks:
        (plan,) = separator.plan(tracks)
        error = separator.attempt(plan).error
    assert error.startswith(f"'{song.with_name('live.wav')}' is not a supported audio file")


def write_text(song: Path) -> Path:
    song.write_text("no sound at all")
    return song


def test_of_several_links_to_a_song_one_is_taken_and_the_others_are_told(song):
    for name in ("a.wav", "z.wav"):
        Path(name).symlink_to("song.wav")
    (track,) = find_inputs(["a.wav", "z.wav", "song.wav"], Path("out"))
    assert str(track.path) == "song.wav"
    (told,) = track.notes
    assert "'a.wav', 'z.wav'" in told
    (track,) = find_inputs(["z.wav", "a.wav"], Path("out"))
    assert str(track.path) == "a.wav" and "'z.wav'" in track.notes[0]
    assert unbraid.Separator(LowHigh()).plan([track])[0].group == "a/*.wav"


def test_a_song_named_twice_by_the_same_name_needs_no_note(song):
    (track,) = find_inputs(["song.wav", "./song.wav", str(song)], Path("out"))
    assert track.notes == ()


@pytest.mark.parametrize("name", ["music/a_first", "music/z_last", "music/stems/renamed"])
def test_stems_that_were_renamed_are_still_no_songs(song, name):
    Path("music").mkdir()
    song.rename("music/song.wav")
    unbraid.Separator(LowHigh()).separate_file("music/song.wav", "music/stems")
    Path("music/stems/song").rename(name)
    for out in ("music/stems", "elsewhere"):
        assert [str(t.path) for t in find_inputs(["music"], Path(out))] == ["music/song.wav"]


def test_a_folder_of_nothing_but_moved_stems_is_meant(song):
    result = unbraid.Separator(LowHigh()).separate_file(song)
    Path("again").mkdir()
    result.outputs["low"].rename("again/voice.wav")
    assert [str(t.path) for t in find_inputs(["again"], Path("separated"))] == ["again/voice.wav"]


def test_a_further_stream_of_a_video_is_separated_when_it_is_chosen(song, tmp_path):
    import av

    with av.open("film.mkv", "w") as film:
        for level in (100, 200):
            stream = film.add_stream("pcm_s16le", rate=44100, layout="mono")
            stream.metadata["title"] = f"level {level}"
        for level, stream in zip((100, 200), film.streams, strict=True):
            frame = av.AudioFrame("s16", "mono", 9000)
            frame.planes[0].update(level.to_bytes(2, "little") * 9000)
            frame.sample_rate, frame.pts = 44100, 0
            film.mux(stream.encode(frame))
    separator = unbraid.Separator(LowHigh())
    keep = unbraid.OutputSettings(residual=True, skip_existing=True)
    for number, level in ((None, 100), (2, 200), (1, 100)):
        result = separator.separate_file("film.mkv", "out", keep, stream=number)
        assert result.status == "done"  # stems of another stream are not these
        total = sum(floats(path) for path in result.outputs.values()) * 2**15
        assert abs(total - level).max() <= 1
        assert result.as_dict()["stream"] == (number or 1)
        told = "audio stream 1 of 2 was separated; --stream takes another one (2 level 200)"
        assert result.notes == ((told,) if number is None else ())
    assert separator.separate_file("film.mkv", "out", keep, stream=1).status == "skipped"
