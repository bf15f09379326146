"""Reports of songs, made one after the other when somebody wants to see one."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from unbraid.errors import Cancelled, UnbraidError
from unbraid.pages.page import asset
from unbraid.separation.progress import CancelToken
from unbraid.song_page.report import FILENAME
from unbraid.web.helper import ask
from unbraid.web.job import Job
from unbraid.web.messages import ReportRequest
from unbraid.web.storage import Storage

_MOST_S = 3600.0


@dataclass(frozen=True)
class ReportView:
    """How far the report of a song is: `progress` is 0 to 1, `error` one sentence."""

    status: Literal["none", "making", "ready", "failed"] = "none"
    progress: float = 0.0
    error: str | None = None


class Reports:
    """The reports of a server's songs.

    Args:
        storage: of the server.
        device, threads: for models, see `Separator`.
        on_change: called with the id of a song, from any thread.
    """

    def __init__(
        self,
        storage: Storage,
        device: str,
        threads: int | None,
        on_change: Callable[[str], None],
    ) -> None:
        self._storage = storage
        self._device = device
        self._threads = threads
        self._on_change = on_change
        self._lock = threading.Lock()
        self._views: dict[str, ReportView] = {}
        self._cancel: dict[str, CancelToken] = {}
        self._pool = ThreadPoolExecutor(1, "report")

    def file(self, id: str) -> Path:
        """Where the report of a song is, once it is made."""
        return self._storage.song(id) / FILENAME

    def view(self, id: str) -> ReportView:
        """How far the report of a song is."""
        with self._lock:
            if id in self._views:
                return self._views[id]
        return ReportView("ready", 1.0) if self.file(id).is_file() else ReportView()

    def make(self, job: Job, model: str | None) -> None:
        """Make the report of a song, unless it is there or on its way.

        Args:
            job: a song that has succeeded.
            model: what separated it, if it is on this machine.
        """
        with self._lock:
            view = self._views.get(job.id)
            if self.file(job.id).is_file() if view is None else view.status == "making":
                return
            self._views[job.id] = ReportView("making")
            self._cancel[job.id] = CancelToken()
        self._pool.submit(self._make, self._request(job, model), job.id)
        self._on_change(job.id)

    def forget(self, id: str) -> None:
        """The song is deleted, or separated again."""
        with self._lock:
            self._views.pop(id, None)
            token = self._cancel.pop(id, None)
        if token is not None:
            token.cancel()

    def stop(self) -> None:
        """End what is being made."""
        with self._lock:
            tokens = [*self._cancel.values()]
        for token in tokens:
            token.cancel()
        self._pool.shutdown(cancel_futures=True)

    def _request(self, job: Job, model: str | None) -> ReportRequest:
        song = self._storage.song(job.id)
        whole = self._storage.original(job.id, job.suffix)
        return ReportRequest(
            path=str(song / "excerpt.wav" if job.settings.preview else whole),
            song=str(song),
            title=job.title,
            facts=job.facts,
            settings=job.settings,
            model=model,
            device=self._device,
            threads=self._threads,
        )

    def _make(self, request: ReportRequest, id: str) -> None:
        token = self._cancel.get(id)
        if token is None:
            return
        try:
            ask(
                "unbraid.web.reporter",
                request,
                _MOST_S,
                token,
                lambda fraction: self._set(id, ReportView("making", fraction)),
            )
            self._end(id, None)
        except Cancelled:
            self.forget(id)
        except UnbraidError as error:
            self._end(id, str(error))
        except (TimeoutError, EOFError):
            self._end(id, "The report could not be made; perhaps memory ran out. Try again later.")

    def _set(self, id: str, view: ReportView) -> None:
        with self._lock:
            if id not in self._views:
                return  # the song is gone
            self._views[id] = view
        self._on_change(id)

    def _end(self, id: str, error: str | None) -> None:
        if error is not None:
            self._set(id, ReportView("failed", 0.0, error))
            return
        with self._lock:
            self._views.pop(id, None)
            self._cancel.pop(id, None)
        self._on_change(id)


@cache
def page_policy() -> str:
    """The content security policy of a report: its own script and nothing else runs or loads."""
    script = str(asset("player.js", "unbraid.song_page")).encode()
    digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src data:; media-src data: blob:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
