"""Changes of jobs as server-sent events, for pages and programs.

A listener has no backlog: it receives the newest state of each job, so that a slow listener costs
no memory and still ends with the current state.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from typing import Any

from unbraid.web.answers import JobView
from unbraid.web.refusals import Refusal

HEARTBEAT_S = 15.0
_JOB, _DELETED = "job", "deleted"


class Listener:
    """The changes that one listener has not received yet."""

    def __init__(self, id: str | None) -> None:
        self.id = id
        self.pending: dict[str, str] = {}
        self.wake = asyncio.Event()
        self.closed = False

    def note(self, id: str, kind: str) -> None:
        """Keep a change of a song for the next event, if this listener wants that song."""
        if self.id is None or self.id == id:
            self.pending[id] = kind
            self.wake.set()


class Hub:
    """Passes changes from any thread to listeners on the event loop.

    Args:
        most: highest number of listeners.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: set[Listener] = set()

    def attach(self) -> None:
        """Use the running event loop."""
        self._loop = asyncio.get_running_loop()

    def changed(self, id: str) -> None:
        """Report that a job has changed; from any thread."""
        self._tell(id, _JOB)

    def deleted(self, id: str) -> None:
        """Report that a job was deleted; from any thread."""
        self._tell(id, _DELETED)

    def close(self) -> None:
        """Disconnect all listeners, so that the server can stop."""
        for listener in self._listeners:
            listener.closed = True
            listener.wake.set()

    def listen(self, id: str | None = None) -> Listener:
        """A new listener for one job or for all jobs.

        Raises:
            Refusal: 429 if there are too many.
        """
        if len(self._listeners) >= self._most:
            raise Refusal(429, "too_many_listeners", "Too many pages are open; close some of them.")
        return Listener(id)  # it is counted once its stream starts, which may never happen

    async def stream(
        self, listener: Listener, show: Callable[[str], JobView | None]
    ) -> AsyncIterator[bytes]:
        """Events of a listener, until it leaves or its only job has ended.

        Args:
            show: returns a job by its id in API form; None if it was deleted.
        """
        self._listeners.add(listener)
        try:
            yield b"retry: 2000\n\n"
            while not listener.closed:
                if not listener.pending and not await _within(listener.wake, HEARTBEAT_S):
                    yield b": still here\n\n"
                    continue
                listener.wake.clear()
                pending, listener.pending = listener.pending, {}
                for id, kind in pending.items():
                    job = show(id) if kind == _JOB else None
                    if job is None:
                        yield _event(_DELETED, {"id": id})
                    else:
                        yield _event(_JOB, asdict(job))
                    if listener.id is not None and (job is None or job.finished is not None):
                        return
        finally:
            self._listeners.discard(listener)

    def _tell(self, id: str, kind: str) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._note, id, kind)

    def _note(self, id: str, kind: str) -> None:
        for listener in self._listeners:
            listener.note(id, kind)


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except asyncio.TimeoutError:  # another class than TimeoutError before Python 3.11
        return False
    return True


def _event(kind: str, data: dict[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()
