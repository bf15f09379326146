"""What all workers share: which attempt at a song is due, and the line that they note of it."""

from __future__ import annotations

import time
from collections.abc import Mapping

from unbraid.api import Separator
from unbraid.batch.journal import Entry, Journal
from unbraid.batch.request import BatchRequest
from unbraid.batch.store_state import StoreJournal
from unbraid.errors import DiskFull
from unbraid.separation.progress import CancelToken
from unbraid.tracks.result import TrackResult
from unbraid.tracks.settings import OutputSettings

LOOK_S = 0.5


class BaseWorker:
    """One worker of a batch.

    Args:
        request: the batch.
        separator: the model, ready to run.
        output: how the stems are written.
        cancel: stops the worker soon, when set.
        owner: name of this worker in claims and journal; None makes one.
        after: name of a worker that died and that this one replaces: its songs count as failed.
        cause: how that one died.
    """

    def __init__(
        self,
        request: BatchRequest,
        separator: Separator,
        output: OutputSettings,
        *,
        cancel: CancelToken | None = None,
        owner: str | None = None,
        after: str | None = None,
        cause: str = "",
    ) -> None:
        self._request, self._separator, self._output = request, separator, output
        self._owner, self._after, self._cause = owner, after, cause
        self._cancel = cancel or CancelToken()
        self._forgotten: set[tuple[object, ...]] = set()
        self._digest = separator.request(output)

    def run(self) -> None:
        """Work until every song is done or has failed for good.

        Raises:
            Cancelled: if `cancel` was set.
        """
        raise NotImplementedError

    def _forget(self, journal: Journal | StoreJournal) -> None:
        """Note, before the work, which earlier attempts do not count any more.

        Those are failures, if they are to be tried again, and successes whose stems a batch with
        other settings has replaced since. One that does so later is left alone, or both would
        replace each other's stems forever.
        """
        for entry in journal.entries():
            if entry.request == self._digest and entry.time < self._request.began:
                newest = journal.newest(entry.key)
                if entry.status == "failed":
                    is_outdated = self._request.retry_failed
                else:
                    is_outdated = newest is not None and _replaces(newest, entry)
                if is_outdated:
                    self._forgotten.add(_mark(entry))

    def _counting(self, last: Entry | None, source: tuple[int, int] | None) -> Entry | None:
        """The last attempt at a song, if it was at this content and is not forgotten."""
        if last is None or last.source != source or _mark(last) in self._forgotten:
            return None
        return last

    def _is_settled(self, last: Entry | None) -> bool:
        """Whether a song is done or has failed for good, by the last attempt that counts."""
        if last is None:
            return False
        return last.status != "failed" or last.attempt > self._request.retries

    def _due(self, last: Entry | None) -> int | None:
        """Number of the attempt that is due now, by the last one that counts; None if none is."""
        if last is None:
            return 1
        if self._is_settled(last):
            return None
        # Another machine may have written it, whose clock is wrong by years.
        since = abs(time.time() - last.time)
        return last.attempt + 1 if since >= self._request.pause_s(last.attempt) else None

    @staticmethod
    def _is_wanted(attempt: int | None, again: bool) -> bool:
        """Whether an attempt is due, and is a first one, or a further one."""
        return attempt is not None and (attempt > 1) == again

    def _entry(
        self,
        result: TrackResult,
        *,
        song: str,
        key: str,
        attempt: int,
        worker: str,
        source: tuple[int, int] | None,
        outputs: Mapping[str, str],
    ) -> Entry:
        """The line of the journal for an attempt that has just ended; fields as in `Entry`."""
        return Entry(
            song=song,
            key=key,
            request=self._digest,
            status=result.status,
            attempt=attempt,
            time=time.time(),
            worker=worker,
            source=source,
            outputs=dict(outputs),
            seconds_audio=result.seconds_audio,
            seconds_wall=result.seconds_wall,
            error=result.error,
        )


def _mark(entry: Entry) -> tuple[object, ...]:
    """What distinguishes an attempt from all others."""
    return entry.key, entry.request, entry.attempt, entry.time, entry.worker


def _replaces(newest: Entry, entry: Entry) -> bool:
    """Whether the last success with a song wrote files of another one."""
    return newest.request != entry.request and bool(newest.outputs.keys() & entry.outputs.keys())


def stop_if_full(result: TrackResult) -> None:
    """End the work if a song failed because the disk is full: the others would fail, too.

    Raises:
        DiskFull: then; the song has not failed, and the batch continues when there is room.
    """
    if result.disk_full:
        raise DiskFull(f"{result.error}; make room, and run the batch again to resume")
