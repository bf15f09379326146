"""Files that are read in place: once mapped for all parts, and only for as long as one is used."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from unbraid.zoo.mapped import MappedFile, release


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(bytes(range(200)))
    return path


def test_parts_are_the_bytes_of_the_file_and_cannot_be_written_to(path):
    part = MappedFile(path).part(7, 5)
    assert part.tolist() == [7, 8, 9, 10, 11]
    assert not part.flags.writeable


def test_parts_in_use_share_one_mapping(path):
    file = MappedFile(path)
    first, second = file.part(0, 100), file.part(50, 100)
    assert np.shares_memory(first, second)


def test_a_file_that_no_part_of_is_in_use_is_read_as_it_is_now(path, tmp_path):
    file = MappedFile(path)
    assert file.part(3, 1)[0] == 3
    other = tmp_path / "other"
    other.write_bytes(b"new weights")
    other.replace(path)
    assert bytes(file.part(0, 3)) == b"new"


def test_a_part_that_reaches_beyond_the_end_is_refused(path):
    with pytest.raises(ValueError, match="buffer"):
        MappedFile(path).part(150, 51)


def test_a_file_that_is_gone_is_an_error_of_the_system(path):
    file = MappedFile(path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        file.part(0, 1)


def test_what_is_released_can_still_be_read(path):
    part = MappedFile(path).part(7, 150)
    halves = part[:150].view(np.uint16)
    before = halves.copy()
    release(halves)
    assert (halves == before).all()
    release(before)  # not of a file: nothing happens
    assert (halves == before).all()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_is_released_takes_no_memory(tmp_path):
    path, size = tmp_path / "weights", 64 << 20
    with path.open("wb") as file:
        file.truncate(size)
    values = MappedFile(path).part(100, size - 200).reshape(2, -1).T  # a view of a view
    before = mapped_bytes()
    values.sum()
    assert mapped_bytes() - before > size / 2
    release(values)
    assert mapped_bytes() - before < size / 2


def mapped_bytes() -> int:
    """Of files, in memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("RssFile")]
    return 1024 * int(line.split()[1])
