"""The hidden folder for what does not last."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from unbraid import scratch
from unbraid.scratch import Scratch, sweep


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
    for dead in (".unbraid-1-dead", ".unbraid-2-dead-before-it-had-a-lock"):
        (tmp_path / dead).mkdir()
    (tmp_path / ".unbraid-1-dead" / "lock").touch()
    (tmp_path / ".unbraid").mkdir()
    with Scratch(tmp_path) as living:
        sweep(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {living.folder.name, ".unbraid"}


def test_what_a_killed_process_left_in_the_temporary_folder_goes_with_the_next(tmp_path):
    begin = "import os; from unbraid.scratch import temporary; made = temporary(); "
    die = "os.kill(os.getpid(), 9)"
    for end, left in ((die, 1), (die, 1), ("made.close()", 0)):
        code = begin + end
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        subprocess.run([sys.executable, "-c", code], env=environment, check=False)
        assert len([*tmp_path.iterdir()]) == left


@pytest.mark.skipif(os.name == "nt", reason="each user has a temporary folder there")
def test_folders_of_other_users_and_links_are_left_alone(tmp_path, monkeypatch):
    (tmp_path / "private").mkdir()
    (tmp_path / ".unbraid-1-link").symlink_to("private", target_is_directory=True)
    sweep(tmp_path)
    (tmp_path / ".unbraid-2-foreign").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    sweep(tmp_path)
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert found == {"private", ".unbraid-1-link", ".unbraid-2-foreign"}


@pytest.mark.parametrize("moment", ["before it has a lock", "at its lock", "under its lock"])
def test_a_newborn_that_is_swept_is_made_again(tmp_path, monkeypatch, moment):
    real, born = scratch.try_lock, []

    def sweep_the_first(path):
        born.append(path)
        if len(born) > 1 or moment == "before it has a lock":
            if len(born) == 1:
                path.parent.rmdir()
            return real(path)
        lock = real(path)
        shutil.rmtree(path.parent)
        if moment == "under its lock":
            return lock
        lock.close()
        return None

    monkeypatch.setattr(scratch, "try_lock", sweep_the_first)
    with Scratch(tmp_path) as made:
        monkeypatch.undo()
        sweep(tmp_path)
        assert [path.name for path in made.folder.iterdir()] == ["lock"]
    assert not any(tmp_path.iterdir())


def test_nothing_else_makes_temporary_folders_which_would_stay_after_a_kill():
    package = Path(scratch.__file__).parent
    makers = re.compile(r"^(?! *>>>).*(mkdtemp|TemporaryDirectory|NamedTemporaryFile)\(", re.M)
    found = {p.name for p in package.rglob("*.py") if makers.search(p.read_text(encoding="utf-8"))}
    assert found == {"scratch.py"}
