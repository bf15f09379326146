"""What all workers share: which attempt at a song is due, and the line that they note of it."""

from __future__ import annotations

import time
from collections.abc import Mapping

from unbraid.api import Separator
from unbraid.batch.journal import Entry
from unbraid.batch.request import BatchRequest
from unbraid.separation.progress import CancelToken
from unbraid.tracks.result import TrackResult
from unbraid.tracks.settings import OutputSettings

AHEAD = 3
"""Songs that a worker holds at a time: one being decoded, one separated, one written."""
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
        self._began = time.time()
        self._digest = separator.request(output)

    def run(self) -> None:
        """Work until every song is done or has failed for good.

        Raises:
            Cancelled: if `cancel` was set.
        """
        raise NotImplementedError

    def _counting(self, last: Entry | None, source: tuple[int, int] | None) -> Entry | None:
        """The last attempt at a song, if it was at this content and is not to be forgotten."""
        if last is None or last.source != source:
            return None
        if last.status == "failed" and self._request.retry_failed and last.time < self._began:
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
        waited = time.time() >= last.time + self._request.pause_s(last.attempt)
        return last.attempt + 1 if waited else None

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
