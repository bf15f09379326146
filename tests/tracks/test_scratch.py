"""The hidden folder and the spool."""

from __future__ import annotations

import os
from contextlib import ExitStack

import numpy as np
import pytest

from unbraid.tracks.scratch import Scratch, sweep
from unbraid.tracks.spool import Spool


def test_a_spool_gives_back_what_was_put_down_in_blocks_of_any_size(tmp_path):
    signal = np.random.default_rng(0).standard_normal((3, 1000)).astype(np.float32)
    with Spool(tmp_path / "spool", 3) as spool:
        for start, stop in ((0, 1), (1, 1), (1, 700), (700, 1000)):
            spool.append(signal[:, start:stop])
    assert spool.samples == 1000
    assert spool.peak == np.abs(signal).max()
    for size in (1, 7, 999, 5000):
        np.testing.assert_array_equal(np.concatenate([*spool.blocks(size)], axis=1), signal)


def test_a_scratch_folder_goes_whatever_happens_and_with_it_the_folders_made_for_it(tmp_path):
    root = tmp_path / "new" / "out"
    with pytest.raises(KeyboardInterrupt), Scratch(root) as scratch:
        (scratch.folder / "half").touch()
        raise KeyboardInterrupt
    assert not any(tmp_path.iterdir())


def test_what_was_made_for_the_first_goes_with_the_last(tmp_path):
    root = tmp_path / "new" / "out"
    with ExitStack() as second:
        with Scratch(root):
            second.enter_context(Scratch(root))
        assert root.exists()
    assert not any(tmp_path.iterdir())


def test_a_folder_that_was_there_stays(tmp_path):
    with Scratch(tmp_path):
        pass
    assert tmp_path.exists()


def test_the_living_are_left_alone_and_the_dead_are_swept(tmp_path):
    dead, newborn = tmp_path / ".unbraid-1-dead", tmp_path / ".unbraid-2-newborn"
    dead.mkdir()
    (dead / "lock").touch()
    newborn.mkdir()
    (tmp_path / ".unbraid").mkdir()
    with Scratch(tmp_path) as living:
        sweep(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {
            living.folder.name,
            newborn.name,
            ".unbraid",
        }
    os.utime(newborn, (0, 0))
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".unbraid"]
