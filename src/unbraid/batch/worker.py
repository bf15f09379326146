"""A worker: claims songs, separates them, writes the journal, until nothing is left to do.

Any number of workers, on any machines that share the output folder, run this at the same time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from unbraid.api import Separator
from unbraid.batch.base_worker import AHEAD, LOOK_S, BaseWorker
from unbraid.batch.claims import Claim, Claims
from unbraid.batch.journal import Entry, Journal
from unbraid.batch.request import BatchRequest
from unbraid.tracks.inputs import find_inputs
from unbraid.tracks.names import InputTrack, OutputPlan
from unbraid.tracks.records import load_record
from unbraid.tracks.result import TrackResult, failed

STATE = Path(".unbraid") / "batch"

OnResult = Callable[[TrackResult], None]


class Worker(BaseWorker):
    """One worker of a batch in a folder.

    Args:
        request: the batch.
        separator: the model, ready to run.
        on_result: called with the result of each song that this worker finished.
        options: as `BaseWorker` takes them.
    """

    def __init__(
        self,
        request: BatchRequest,
        separator: Separator,
        on_result: OnResult | None = None,
        **options: Any,
    ) -> None:
        super().__init__(request, separator, replace(request.output, skip_existing=True), **options)
        self._journal = Journal(request.folder)
        self._on_result = on_result

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
                time.sleep(LOOK_S)
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
            if len(taken) == (AHEAD if attempt == 1 else 1):
                break  # a song that failed before comes alone: it may take its worker with it
        return taken

    def _open(self, plans: Sequence[OutputPlan]) -> list[OutputPlan]:
        """The songs that are not done and have not failed for good."""
        return [plan for plan in plans if not self._is_settled(self._last(plan))]

    def _attempt_of(self, plan: OutputPlan) -> int | None:
        """Number of the attempt that is due for a song; None if none is due now."""
        return self._due(self._last(plan))

    def _last(self, plan: OutputPlan) -> Entry | None:
        """The last attempt at this very content, with these settings, that still counts."""
        last = self._counting(self._journal.last(plan.group, self._digest), _stamp(plan.track.path))
        if last is not None and last.status != "failed" and not _has_files(plan):
            return None
        return last

    def _end(self, plan: OutputPlan, attempt: int, result: TrackResult, worker: str) -> None:
        self._journal.append(
            self._entry(
                result,
                song=str(plan.track.path),
                key=plan.group,
                attempt=attempt,
                worker=worker,
                source=_stamp(plan.track.path),
                outputs={stem: str(path) for stem, path in result.outputs.items()},
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
