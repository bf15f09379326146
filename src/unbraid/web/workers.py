"""The server's side of its workers: hands out jobs, reads messages, restarts dead workers.

Each worker has a thread here that reads its messages. When a worker dies, its job is queued again
once, and fails the second time.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from unbraid.web.choices import Model
from unbraid.web.job import Job, Live
from unbraid.web.jobs import JobStore
from unbraid.web.limits import Limits
from unbraid.web.messages import (
    Cancel,
    End,
    Ended,
    Learned,
    Message,
    Order,
    Progress,
    Ready,
    SongFacts,
    from_line,
    to_line,
)
from unbraid.web.processes import environment, python
from unbraid.web.storage import Storage

_CRASHES = 1  # retries of a job after its worker died
_CANCEL_S = 10.0
_BACKOFF_S = (0.5, 30.0)
_LOOK_S = 0.5
CRASHED = (
    "The separation crashed twice, perhaps because the computer ran out of memory. "
    "Close other programs or try a smaller model."
)
STUCK = "The separation made no progress for a long time and was stopped."


@dataclass
class _Current:
    """The job of a worker."""

    id: str
    heard: float
    cancelled: float | None = None
    stuck: bool = False


class Workers:
    """All workers of a server.

    Args:
        store, storage, limits: of the server.
        models: name to offered model.
        devices: one worker for each, as in `Separator`.
        threads: CPU threads of each worker.
        on_change: called with the id of a job that has changed, from any thread.
    """

    def __init__(
        self,
        store: JobStore,
        storage: Storage,
        limits: Limits,
        models: Mapping[str, Model],
        devices: Sequence[str] = ("auto",),
        threads: int | None = None,
        on_change: Callable[[str], None] = lambda id: None,
    ) -> None:
        self.store = store
        self.storage = storage
        self.limits = limits
        self.models = models
        self.on_change = on_change
        self.stopping = threading.Event()
        self._doomed: set[str] = set()
        default = next(model for model in models.values() if model.default)
        self._workers = [_Worker(self, device, threads, default.source) for device in devices]
        self._watch = threading.Thread(target=self._watch_all, name="watch", daemon=True)

    def start(self) -> None:
        """Start all processes. Jobs that were running before are queued again."""
        self.store.requeue_all()
        for worker in self._workers:
            worker.start()
        self._watch.start()

    def stop(self, most_s: float = 5.0) -> None:
        """End all processes; their jobs are queued again."""
        self.stopping.set()
        for worker in self._workers:
            worker.end()
        for worker in self._workers:
            worker.join(most_s)

    def states(self) -> dict[str, str]:
        """Device to "starting", "idle" or "busy"."""
        return {worker.device: worker.state for worker in self._workers}

    def wake(self) -> None:
        """Give waiting jobs to idle workers."""
        for worker in self._workers:
            worker.take_next()

    def cancel(self, id: str) -> bool:
        """Stop a running job; False if no worker has it."""
        return any(worker.cancel(id) for worker in self._workers)

    def discard(self, id: str) -> None:
        """Remove the files of a deleted job, now or when its worker has stopped."""
        self._doomed.add(id)
        if not self.cancel(id):
            self._doomed.discard(id)
            self.storage.remove(id)

    def order(self, job: Job) -> Order:
        """A job in the form that a worker reads."""
        limits = self.limits
        model = self.models.get(job.settings.model)
        return Order(
            id=job.id,
            model=model.source if model is not None else job.settings.model,
            settings=job.settings,
            path=str(self.storage.original(job.id, job.suffix)),
            song=str(self.storage.song(job.id)),
            most_s=limits.seconds,
            free_bytes=limits.free_bytes,
            read_s=limits.read_s,
            read_bytes=limits.read_bytes,
        )

    def ended(self, id: str, status: End, error: str | None) -> None:
        """A job has ended."""
        if id not in self._doomed:
            if status != "succeeded":
                self.storage.clear_results(id)
            self.store.learn(id, SongFacts(), self.storage.used_bytes(id))
            self.store.finish(id, status, error)
        self._let_go(id)

    def crashed(self, current: _Current) -> None:
        """The worker died, or was ended, during a job."""
        job = self.store.get(current.id)
        if job is None or current.id in self._doomed:
            self._let_go(current.id)
        elif self.stopping.is_set():
            self.store.requeue(current.id)
        elif current.cancelled is not None:
            self.ended(current.id, "canceled", None)
        elif current.stuck:
            self.ended(current.id, "failed", STUCK)
        elif job.crashes < _CRASHES:
            self.store.requeue(current.id, crashed=True)
            self.on_change(current.id)
        else:
            self.ended(current.id, "failed", CRASHED)

    def _let_go(self, id: str) -> None:
        if id in self._doomed or self.store.get(id) is None:
            self._doomed.discard(id)
            self.storage.remove(id)
        self.on_change(id)

    def _watch_all(self) -> None:
        while not self.stopping.wait(_LOOK_S):
            for worker in self._workers:
                worker.look(self.limits.separate_s)


class _Worker:
    """One process and the thread that listens to it."""

    def __init__(self, crew: Workers, device: str, threads: int | None, model: str) -> None:
        self.device = device
        self._crew = crew
        self._command = python("unbraid.web.worker", "--device", device, "--model", model)
        if threads is not None:
            self._command += ["--threads", str(threads)]
        self._lock = threading.RLock()
        self._process: subprocess.Popen[str] | None = None
        self._ready = False
        self._current: _Current | None = None
        self._thread = threading.Thread(target=self._run, name=f"worker {device}", daemon=True)

    @property
    def state(self) -> str:
        if not self._ready:
            return "starting"
        return "idle" if self._current is None else "busy"

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def join(self, most_s: float) -> None:
        self._thread.join(most_s)

    def take_next(self) -> None:
        """Send the next job, if one is waiting and the worker is idle."""
        with self._lock:
            if not self._ready or self._current is not None or self._crew.stopping.is_set():
                return
            job = self._crew.store.claim()
            if job is None:
                return
            self._current = _Current(job.id, time.monotonic())
            self._crew.storage.clear_results(job.id)
            self._send(self._crew.order(job))
        self._crew.on_change(job.id)

    def cancel(self, id: str) -> bool:
        with self._lock:
            if self._current is None or self._current.id != id:
                return False
            if self._current.cancelled is None:
                self._current.cancelled = time.monotonic()
                self._send(Cancel(id))
            return True

    def look(self, most_silent_s: float) -> None:
        """End a process that does not stop when asked, or sends no message for too long."""
        with self._lock:
            current, now = self._current, time.monotonic()
            if current is None or self._process is None:
                return
            if current.cancelled is not None and now - current.cancelled > _CANCEL_S:
                self._process.kill()
            elif now - current.heard > most_silent_s:
                current.stuck = True
                self._process.kill()

    def _send(self, message: Message) -> None:
        process = self._process
        if process is not None and process.stdin is not None:
            with suppress(OSError):  # it has died; its thread will notice
                process.stdin.write(to_line(message))
                process.stdin.flush()

    def _run(self) -> None:
        pause = _BACKOFF_S[0]
        while not self._crew.stopping.is_set():
            begun = time.monotonic()
            self._live()
            if time.monotonic() - begun > _BACKOFF_S[1]:
                pause = _BACKOFF_S[0]
            self._crew.stopping.wait(pause)
            pause = min(2 * pause, _BACKOFF_S[1])

    def _live(self) -> None:
        """One life of the process."""
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=environment(),
        )
        assert process.stdout is not None and process.stdin is not None
        with self._lock:
            self._process = process
            if self._crew.stopping.is_set():
                process.kill()
        for line in process.stdout:
            self._hear(from_line(line))
        process.wait()
        process.stdout.close()
        with suppress(OSError):
            process.stdin.close()
        with self._lock:
            self._process, self._ready = None, False
            current, self._current = self._current, None
        if current is not None:
            self._crew.crashed(current)

    def _hear(self, message: Message) -> None:
        crew = self._crew
        with self._lock:
            if self._current is not None:
                self._current.heard = time.monotonic()
        match message:
            case Ready():
                self._ready = True
            case Learned(facts, id):
                crew.store.learn(id, facts)
                crew.on_change(id)
            case Ended(id, status, error):
                crew.ended(id, status, error)
                with self._lock:
                    self._current = None
            case Progress(id, stage, progress, seconds_left, samples_ready):
                crew.store.report(id, Live(stage, progress, seconds_left, samples_ready))
                crew.on_change(id)
        self.take_next()
