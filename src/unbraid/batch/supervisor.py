"""Workers as processes of this machine: started, watched, replaced when they die.

Songs are decoded and separated only in the workers. A song that crashes its worker, or makes the
system kill it for its memory, fails by itself, and the batch continues with a new worker.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from unbraid.batch.request import BatchRequest
from unbraid.errors import UnbraidError

STOPPED = 2
"""Exit code of a worker that will not work: its message is on stderr."""
_LOOK_S = 0.2


@dataclass(frozen=True)
class WorkerOrder:
    """The order for a worker process.

    Attributes:
        request: the batch.
        owner: name of the worker.
        after: name of a dead worker that it replaces.
        cause: how that one died.
        has_voice: whether it may write notes about this machine on stderr.
    """

    request: BatchRequest
    owner: str
    after: str | None = None
    cause: str = ""
    has_voice: bool = False


class _Running:
    """A worker process."""

    def __init__(self, order: WorkerOrder) -> None:
        self.order = order
        self.process = subprocess.Popen(
            [sys.executable, "-m", "unbraid.batch.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C reaches only the supervisor
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(pickle.dumps(order))
        self.process.stdin.flush()  # and stays open: its end tells the worker that we have ended

    def has_started(self) -> bool:
        """Whether an ended worker had got as far as its first song."""
        assert self.process.stdout is not None
        return bool(self.process.stdout.read())

    def close(self) -> None:
        """Wait for the end of the process, and close its pipes."""
        self.process.wait()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()


def run_workers(
    request: BatchRequest,
    count: int,
    on_tick: Callable[[], None] = lambda: None,
    *,
    notes: bool = False,
) -> None:
    """Run `count` workers until the batch is finished.

    Args:
        request: the batch.
        count: processes.
        on_tick: called several times a second.
        notes: whether the first worker writes notes about this machine on stderr.
    Raises:
        UnbraidError: if a worker cannot start or continue; its own message is on stderr.
    """
    orders = [WorkerOrder(request, _name(), has_voice=notes and n == 0) for n in range(count)]
    running = [_Running(order) for order in orders]
    try:
        while running:
            running = [worker for old in running if (worker := _still(request, old)) is not None]
            on_tick()
            time.sleep(_LOOK_S)
        on_tick()
    finally:
        for worker in running:
            worker.process.terminate()
        for worker in running:
            worker.close()


def _still(request: BatchRequest, worker: _Running) -> _Running | None:
    """The worker, or the one that replaces it; None if it has finished."""
    code = worker.process.poll()
    if code is None:
        return worker
    has_started = worker.has_started()
    worker.close()
    if code == 0:
        return None
    if not has_started:
        raise UnbraidError("a worker of the batch could not start")
    if code == STOPPED:
        raise UnbraidError("the batch has stopped")
    end = f"of signal {-code}" if code < 0 else f"with exit code {code}"
    cause = f"the worker died {end} while it worked on this song"
    return _Running(WorkerOrder(request, _name(), worker.order.owner, cause))


def _name() -> str:
    return f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
