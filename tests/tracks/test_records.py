"""What may be replaced, what is done already: records of what was written."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Event

import pytest

from durable import Disk
from small_songs import LowHigh, noise, write_song
from unbraid import AudioWriteError, OutputSettings, Separator
from unbraid.tracks import write
from unbraid.tracks.names import InputTrack
from unbraid.tracks.records import load_record

SKIP = OutputSettings(skip_existing=True)
HIGHER = OutputSettings(bit_depth="24")


@pytest.fixture
def song(tmp_path):
    return write_song(tmp_path / "a.wav", noise(0.2))


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def separator():
    return Separator(LowHigh())


def test_a_song_that_is_done_is_skipped(separator, song, out):
    first = separator.separate_file(song, out, SKIP)
    second = separator.separate_file(song, out, SKIP)
    assert (first.status, second.status) == ("done", "skipped")
    assert second.outputs == first.outputs


@pytest.mark.parametrize(
    "change",
    ["content", "same size and time", "stem changed", "stem gone", "format", "seed", "model"],
)
def test_whatever_changed_is_done_again(separator, song, out, change):
    first = separator.separate_file(song, out, SKIP)
    output, again = OutputSettings(skip_existing=True, overwrite=True), separator
    if change == "content":
        write_song(song, noise(0.2, seed=1))
    elif change == "same size and time":
        stat = song.stat()
        song.unlink()
        write_song(song, noise(0.2, seed=1))
        os.utime(song, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    elif change == "stem changed":
        first.outputs["low"].write_bytes(b"edited")
    elif change == "stem gone":
        first.outputs["low"].unlink()
    elif change == "format":
        output = OutputSettings(skip_existing=True, bit_depth="24")
    elif change == "seed":
        again = Separator(LowHigh(), seed=1)
    else:
        again = Separator(type("Other", (LowHigh,), {})())
    assert again.separate_file(song, out, output).status == "done"
    assert again.separate_file(song, out, output).status == "skipped"


def test_a_copy_of_the_song_elsewhere_is_the_same_song(separator, song, out, tmp_path):
    separator.separate_file(song, out)
    copy = tmp_path / "elsewhere" / song.name
    copy.parent.mkdir()
    copy.write_bytes(song.read_bytes())
    assert separator.separate_file(copy, out, SKIP).status == "skipped"


def test_our_own_untouched_files_are_replaced_unasked(separator, song, out):
    separator.separate_file(song, out)
    write_song(song, noise(0.2, seed=1))
    assert separator.separate_file(song, out).status == "done"


@pytest.mark.parametrize("foreign", ["by someone else", "ours but edited", "of another song"])
def test_other_files_are_replaced_only_when_told(separator, song, out, tmp_path, foreign):
    if foreign == "by someone else":
        path = out / "a" / "low.wav"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"my work")
    else:
        path = separator.separate_file(song, out).outputs["low"]
        if foreign == "ours but edited":
            path.write_bytes(b"my work")
        else:
            song = write_song(tmp_path / "elsewhere" / "a.wav", noise(0.2, seed=1))
    before = path.read_bytes()
    with pytest.raises(AudioWriteError, match="--overwrite"):
        separator.separate_file(song, out)
    assert path.read_bytes() == before
    separator.separate_file(song, out, OutputSettings(overwrite=True))
    assert path.read_bytes() != before


def test_a_song_is_never_replaced_even_when_told(separator, tmp_path):
    song = write_song(tmp_path / "low.wav", noise(0.2))
    before = song.read_bytes()
    output = OutputSettings(filename="{stem}.{ext}", overwrite=True)
    with pytest.raises(AudioWriteError, match="is a song to separate"):
        separator.separate_file(song, tmp_path, output)
    assert song.read_bytes() == before


def test_a_link_out_of_the_root_is_not_followed(separator, song, out, tmp_path):
    (tmp_path / "outside").mkdir()
    out.mkdir()
    (out / "a").symlink_to(tmp_path / "outside", target_is_directory=True)
    with pytest.raises(AudioWriteError, match="by a link"):
        separator.separate_file(song, out, OutputSettings(overwrite=True))
    assert not any((tmp_path / "outside").iterdir())


@pytest.fixture
def died(separator, song, out, monkeypatch):
    """Stems are there, and a run died that was about to replace them; gives the first."""
    path = separator.separate_file(song, out).outputs["low"]
    with monkeypatch.context() as patch:
        patch.setattr(write, "rename_all", die)
        with pytest.raises(KeyboardInterrupt):
            separator.separate_file(song, out, HIGHER)
    return path


def die(names):
    raise KeyboardInterrupt


def test_files_that_a_run_did_not_come_to_replace_are_still_ours(separator, song, out, died):
    assert separator.separate_file(song, out, SKIP).status == "skipped"
    assert separator.separate_file(song, out, HIGHER).status == "done"


def test_files_changed_after_a_run_died_are_not_ours(separator, song, out, died):
    died.write_bytes(b"my work")
    with pytest.raises(AudioWriteError, match="--overwrite"):
        separator.separate_file(song, out, HIGHER)
    assert died.read_bytes() == b"my work"


@pytest.fixture
def halfway(separator, song, out, monkeypatch):
    """A run that is about to give its files their names, until the event is set."""
    reached, go, real = Event(), Event(), write.rename_all

    def hold(names):
        monkeypatch.setattr(write, "rename_all", real)
        reached.set()
        go.wait(10)
        real(names)

    monkeypatch.setattr(write, "rename_all", hold)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(separator.separate_file, song, out)
        assert reached.wait(10)
        yield go
        go.set()


def test_a_power_cut_leaves_stems_that_are_whole_and_known(separator, song, out, monkeypatch):
    disk = Disk(monkeypatch)
    separator.separate_file(song, out)
    disk.check("low.wav", "high.wav")
    assert [path.suffix for path in disk.named] == [".json", ".wav", ".wav"]


def test_of_two_runs_at_once_the_last_writes_all_files_and_its_record(
    separator, song, out, halfway
):
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(separator.separate_file, song, out, HIGHER)
        assert not wait([second], 0.3).done  # the first is not through
        halfway.set()
        assert second.result().status == "done"
    again = OutputSettings(skip_existing=True, bit_depth="24")
    assert separator.separate_file(song, out, again).status == "skipped"


def test_a_song_does_not_replace_what_another_of_its_name_writes_meanwhile(
    separator, out, tmp_path, halfway
):
    other = write_song(tmp_path / "elsewhere" / "a.wav", noise(0.2, seed=1))
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(separator.separate_file, other, out)
        wait([second], 0.3)
        halfway.set()
        with pytest.raises(AudioWriteError, match="another song"):
            second.result()


@pytest.mark.parametrize("damage", ["", "{", '{"version": 9}', '{"version": 1, "files": {"x": 1}}'])
def test_a_damaged_record_is_no_record(separator, song, out, damage):
    separator.separate_file(song, out)
    for path in (out / ".unbraid" / "records").iterdir():
        path.write_text(damage)
    (plan,) = separator.plan([InputTrack(song)], out)
    assert not load_record(plan).files
    with pytest.raises(AudioWriteError, match="--overwrite"):
        separator.separate_file(song, out)
