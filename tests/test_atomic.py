"""Files that appear under their name only when they are complete."""

from __future__ import annotations

import os
import time

import pytest

from durable import Disk
from unbraid import atomic
from unbraid.atomic import append_line, make_folder, replacing, write_text


def test_a_file_is_on_the_disk_before_it_has_its_name_and_then_its_name_is(tmp_path, monkeypatch):
    disk = Disk(monkeypatch)
    write_text(tmp_path / "a.txt", "new")
    disk.check("a.txt")
    assert (tmp_path / "a.txt").read_text() == "new"


def test_a_name_is_noticed_that_a_power_cut_takes(tmp_path, monkeypatch):
    disk = Disk(monkeypatch)
    (tmp_path / "draft").write_text("new")
    (tmp_path / "draft").replace(tmp_path / "a.txt")
    with pytest.raises(AssertionError):
        disk.check("a.txt")


def test_after_an_error_the_old_file_is_there_and_nothing_else(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "a.txt", ".txt") as part:
        assert part.suffix == ".txt"
        part.write_text("half")
        raise KeyboardInterrupt
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_name_may_be_as_long_as_the_system_lets_it(tmp_path):
    path = tmp_path / ("é" * 127)
    write_text(path, "long")
    assert list(tmp_path.iterdir()) == [path]


def test_what_the_dead_left_unfinished_goes_and_nothing_of_others(tmp_path, monkeypatch):
    with monkeypatch.context() as dying:
        dying.setattr(atomic, "publish", lambda temporary, final: temporary.touch())
        dying.setattr(type(tmp_path), "unlink", lambda *_, **__: None)
        for name in ("old.json", "young.json"):
            write_text(tmp_path / name, "half")
    (old,) = tmp_path.glob(".old*")
    (young,) = tmp_path.glob(".young*")
    others = [tmp_path / name for name in (".a.1234abcd.part", "a.unbraid-1234abcd.part")]
    for path in (old, *others):
        path.touch()
        os.utime(path, (time.time() - 4000,) * 2)
    atomic._clear_leftovers.cache_clear()
    write_text(tmp_path / "new.json", "")
    assert {*tmp_path.iterdir()} == {young, *others, tmp_path / "new.json"}


@pytest.mark.parametrize("before", ["", "whole\n", "whole\nhal"])
def test_a_line_is_one_of_its_own_also_after_one_that_broke_off(tmp_path, before):
    path = tmp_path / "log"
    path.write_text(before)
    append_line(path, "new")
    append_line(path, "newer")
    assert path.read_text().splitlines() == [*before.splitlines(), "new", "newer"]


def test_folders_are_made_and_said_to_be_in_the_way_as_usual(tmp_path):
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="a file, not a folder"):
        make_folder(tmp_path / "file")
    with pytest.raises(NotADirectoryError):
        make_folder(tmp_path / "file" / "below")
