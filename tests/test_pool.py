"""Pools of processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from unbraid.pool import new_pool

PARENT = """
import os, time
from unbraid.pool import new_pool

if __name__ == "__main__":
    pool = new_pool(1)
    print(pool.submit(os.getpid).result(), flush=True)
    pool.submit(time.sleep, 60)
    time.sleep(60)
"""


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_its_processes_end_with_the_one_that_made_them_also_when_that_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    end = time.monotonic() + 30
    while is_running(child):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_each_has_one_thread_and_leaves_ctrl_c_to_its_parent():
    with new_pool(1) as pool:
        assert pool.submit(os.getenv, "OMP_NUM_THREADS").result() == "1"
