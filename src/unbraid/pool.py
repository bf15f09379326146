"""Pools of processes that end with the process that made them.

Imports nothing heavy: see `settle`.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from typing import Any


def new_pool(count: int) -> ProcessPoolExecutor:
    """A pool of `count` fresh processes, each with one thread."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(count, context, initializer=settle)


def abandon(pool: ProcessPoolExecutor) -> None:
    """End a pool, and what its processes have begun."""
    for process in multiprocessing.active_children():
        process.terminate()
    pool.shutdown(cancel_futures=True)


def settle() -> None:
    """Make a fresh process a good neighbour.

    One thread each, since there are many; this has to be said before numpy is imported. Ctrl-C is
    for the parent, and when that has gone, however it went, so does this process.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)
