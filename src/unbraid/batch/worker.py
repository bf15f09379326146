"""A worker: claims songs, separates them, writes the journal, until nothing is left to do.

Any number of workers, on any machines that share the output folder, run this at the same time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from unbraid.api import Separator
from unbraid.batch.claims import Claim, Claims
from unbraid.batch.journal import Entry, Journal
from unbraid.batch.request import BatchRequest
from unbraid.separation.progress import CancelToken
from unbraid.tracks.inputs import find_inputs
from unbraid.tracks.names import InputTrack, OutputPlan
from unbraid.tracks.records import load_record
from unbraid.tracks.result import TrackResult, failed

STATE = Path(".unbraid") / "batch"
_AHEAD = 3
"""Songs that a worker holds at a time: one being decoded, one separated, one written."""
_LOOK_S = 0.5

OnResult = Callable[[TrackResult], None]


class Worker:
    """One worker of a batch.

    Args:
        request: the batch.
        separator: the model, ready to run.
        on_result: called with the result of each song that this worker finished.
        cancel: stops the worker soon, when set.
        owner: name of this worker in claims and journal; None makes one.
        after: name of a worker that died and that this one replaces: its songs count as failed.
        cause: how that one died.
    """

    def __init__(
        self,
        request: BatchRequest,
        separator: Separator,
        on_result: OnResult | None = None,
        cancel: CancelToken | None = None,
        *,
        owner: str | None = None,
        after: str | None = None,
        cause: str = "",
    ) -> None:
        self._request, self._separator = request, separator
        self._owner, self._after, self._cause = owner, after, cause
        self._began = time.time()
        self._output = replace(request.output, skip_existing=True)
        self._digest = separator.request(self._output)
        self._journal = Journal(request.folder)
        self._on_result, self._cancel = on_result, cancel or CancelToken()

    def run(self) -> None:
        """Work until every song is done or has failed for good; with `watch` until cancelled.

        Raises:
            Cancelled: if `cancel` was set.
        """
        folder = self._request.folder / STATE
        lease_s = self._request.lease_s
        with Claims(folder / "claims", self._owner, lease_s) as claims:
            plans = self._plans()
            self._bury(plans, claims)
            while True:
                self._work_on(plans, claims)
                if not self._request.watch and not self._open(plans):
                    return
                self._cancel.check()
                time.sleep(_LOOK_S)
                if self._request.watch:
                    plans = self._plans()

    def _bury(self, plans: Sequence[OutputPlan], claims: Claims) -> None:
        """Count the songs that a dead worker held as failed, and free them."""
        if self._after is None:
            return
        held = claims.give_up(self._after)
        for plan in plans:
            if plan.group in held:
                attempt = self._attempt_of(plan) or 1
                self._end(plan, attempt, failed(plan, self._cause), self._after)

    def _plans(self) -> list[OutputPlan]:
        """The songs of this share. The order is that of their names, the same for all workers."""
        request = self._request
        tracks = find_inputs(list(request.inputs), request.folder, stream=request.stream)
        if self._request.watch:
            tracks = [track for track in tracks if _is_settled(track, self._request.settle_s)]
        plans = self._separator.plan(tracks, self._request.folder, self._output)
        part, parts = self._request.shard
        return plans[part - 1 :: parts]

    def _work_on(self, plans: Sequence[OutputPlan], claims: Claims) -> None:
        waiting = iter(plans)
        while True:
            taken = self._take(waiting, claims)
            if not taken:
                return
            results = self._separator.separate_many(
                [plan for plan, _, _ in taken], output=self._output, cancel=self._cancel
            )
            with closing(results):
                for (plan, claim, attempt), result in zip(taken, results, strict=True):
                    if claim.is_held():  # else it was taken over, and another worker reports it
                        self._end(plan, attempt, result, claims.owner)
                    claims.release(claim)

    def _take(
        self, plans: Iterator[OutputPlan], claims: Claims
    ) -> list[tuple[OutputPlan, Claim, int]]:
        """Claim the next few songs that are still to be done."""
        taken: list[tuple[OutputPlan, Claim, int]] = []
        for plan in plans:
            if self._attempt_of(plan) is None:
                continue
            claim = claims.take(plan.group)
            if claim is None:
                continue
            attempt = self._attempt_of(plan)  # another worker may have done it meanwhile
            if attempt is None:
                claims.release(claim)
                continue
            taken.append((plan, claim, attempt))
            if len(taken) == (_AHEAD if attempt == 1 else 1):
                break  # a song that failed before comes alone: it may take its worker with it
        return taken

    def _open(self, plans: Sequence[OutputPlan]) -> list[OutputPlan]:
        """The songs that are not done and have not failed for good."""
        return [plan for plan in plans if not self._is_settled_for_good(plan)]

    def _is_settled_for_good(self, plan: OutputPlan) -> bool:
        last = self._last(plan)
        if last is None:
            return False
        return last.status != "failed" or last.attempt > self._request.retries

    def _attempt_of(self, plan: OutputPlan) -> int | None:
        """Number of the attempt that is due for a song; None if none is due now."""
        last = self._last(plan)
        if last is None:
            return 1
        if self._is_settled_for_good(plan):
            return None
        due = last.time + self._request.pause_s(last.attempt)
        return last.attempt + 1 if time.time() >= due else None

    def _last(self, plan: OutputPlan) -> Entry | None:
        """The last attempt at this very content, with these settings, that still counts."""
        last = self._journal.last(plan.group, self._digest)
        if last is None or last.source != _stamp(plan.track.path):
            return None
        if last.status != "failed":
            return last if _has_files(plan) else None
        if self._request.retry_failed and last.time < self._began:
            return replace(last, attempt=0, time=0.0)
        return last

    def _end(self, plan: OutputPlan, attempt: int, result: TrackResult, worker: str) -> None:
        self._journal.append(
            Entry(
                song=str(plan.track.path),
                key=plan.group,
                request=self._digest,
                status=result.status,
                attempt=attempt,
                time=time.time(),
                worker=worker,
                source=_stamp(plan.track.path),
                outputs={stem: str(path) for stem, path in result.outputs.items()},
                seconds_audio=result.seconds_audio,
                seconds_wall=result.seconds_wall,
                error=result.error,
            )
        )
        if self._on_result is not None:
            self._on_result(result)


def _has_files(plan: OutputPlan) -> bool:
    """Whether all files of a song are there."""
    if plan.fields:
        plan = plan.named(load_record(plan).heard)
    return all(plan.path(part).is_file() for part in plan.everything)


def _stamp(path: Path) -> tuple[int, int] | None:
    """Size and modification time of a file; None if it is not there."""
    try:
        stat = path.stat()
    except (OSError, ValueError):
        return None
    return stat.st_size, stat.st_mtime_ns


def _is_settled(track: InputTrack, settle_s: float) -> bool:
    """Whether a file has not changed for some time, so that it is not still being copied."""
    stamp = _stamp(track.path)
    return stamp is not None and time.time() - stamp[1] / 1e9 >= settle_s
