"""Locks on files."""

from __future__ import annotations

import subprocess
import sys
from threading import Thread

import pytest

from unbraid.locks import locked, try_lock


def is_locked(path):
    lock = try_lock(path)
    if lock is not None:
        lock.close()
    return lock is None


HOLD = """
import sys
from pathlib import Path
from unbraid.locks import try_lock
lock = try_lock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""
FORK = """
import os, sys, time
from pathlib import Path
from unbraid.locks import try_lock
lock = try_lock(Path(sys.argv[1]))
if os.name == "nt" or os.fork() == 0:
    os.write(1, b"held\\n")
    sys.stdin.read()
    os._exit(0)
time.sleep(60)
"""


def test_a_lock_is_held_once_and_free_again_when_closed_by_any_thread(tmp_path):
    lock = try_lock(tmp_path / "lock")
    assert lock is not None and try_lock(tmp_path / "lock") is None
    thread = Thread(target=lock.close)
    thread.start()
    thread.join()
    lock.close()
    assert not is_locked(tmp_path / "lock")


@pytest.mark.parametrize("program", [HOLD, FORK], ids=["alone", "with a fork that lives on"])
def test_a_lock_goes_with_its_process_also_when_that_is_killed(tmp_path, program):
    owner = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with owner:
        assert owner.stdout is not None and owner.stdout.readline() == b"held\n"
        assert is_locked(tmp_path / "lock")
        owner.kill()
        owner.wait()
        assert not is_locked(tmp_path / "lock")


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
