"""On how many threads models run on the CPU in this process: torch's number, where it is loaded."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

MOST_THREADS = 1024
"""More help no model; some thousands are more than a system gives a process."""

_waiting: int | None = None  # the number set before torch was loaded

_WAITING_VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def let_waiting_threads_sleep() -> None:
    """Let threads of OpenMP, on which torch computes, sleep while they wait for work.

    By default they spin, which takes processors away from those that have work: where two other
    programs compute on two cores, torch takes four times as long (docs/decisions/0010). OpenMP
    reads the variable once, when torch is loaded, so this has to come before. A variable about
    waiting that the user has set decides instead.
    """
    if "torch" not in sys.modules and not any(name in os.environ for name in _WAITING_VARIABLES):
        os.environ["OMP_WAIT_POLICY"] = "passive"


def set_threads(count: int) -> None:
    """Let models of any kind run on `count` threads; torch is set now, or when it is loaded."""
    global _waiting
    _waiting = count
    _tell_torch()


def get_threads() -> int:
    """How many threads a model is to run on now."""
    torch = _tell_torch()
    if torch is not None:
        return int(torch.get_num_threads())
    return _default() if _waiting is None else _waiting


def _tell_torch() -> Any:
    """Torch if it is loaded, with the number that waited for it."""
    global _waiting
    torch = sys.modules.get("torch")
    if not hasattr(torch, "set_num_threads"):
        return None
    if _waiting is not None:
        torch.set_num_threads(_waiting)  # type: ignore[union-attr]
        _waiting = None
    return torch


def _default() -> int:
    """What OMP_NUM_THREADS says, else a thread for each core, as torch does."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdecimal() and int(asked) else physical_cores()


def processors() -> list[int]:
    """The processors that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return sorted(affinity(0)) if affinity else list(range(os.cpu_count() or 1))


def physical_cores() -> int:
    """Cores that this process may use; two processors of one core count once."""
    found = set()
    for number in processors():
        place = Path(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list")
        try:
            found.add(place.read_text().strip())
        except OSError:
            found.add(str(number))
    return len(found)
