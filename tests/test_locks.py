"""Locks on files."""

from __future__ import annotations

import subprocess
import sys
from threading import Thread

from unbraid.locks import is_locked, lock_new, locked, try_lock

HOLD = """
import sys
from pathlib import Path
from unbraid.locks import try_lock
lock = try_lock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_lock_is_held_once_and_free_again_when_closed_by_any_thread(tmp_path):
    lock = try_lock(tmp_path / "lock")
    assert lock is not None and try_lock(tmp_path / "lock") is None
    thread = Thread(target=lock.close)
    thread.start()
    thread.join()
    lock.close()
    assert not is_locked(tmp_path / "lock")


def test_a_lock_goes_with_its_process_also_when_that_is_killed(tmp_path):
    owner = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with owner:
        assert owner.stdout is not None and owner.stdout.readline() == b"held\n"
        assert is_locked(tmp_path / "lock")
        owner.kill()
        owner.wait()
        assert not is_locked(tmp_path / "lock")


def test_a_new_lock_has_its_name_and_nothing_else_is_left(tmp_path):
    with lock_new(tmp_path / "lock"):
        assert is_locked(tmp_path / "lock")
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_those_who_wait_for_a_lock_come_one_after_the_other(tmp_path):
    inside, met = [], []

    def enter():
        with locked(tmp_path / "lock"):
            inside.append(1)
            met.append(len(inside))
            inside.pop()

    threads = [Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert met == [1, 1, 1, 1]
