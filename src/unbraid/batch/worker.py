"""A worker: claims songs, separates them, writes the journal, until nothing is left to do.

Any number of workers, on any machines that share the output folder, run this at the same time.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unbraid.api import Separator
from unbraid.batch.base_worker import LOOK_S, BaseWorker, stop_if_full
from unbraid.batch.claims import Claim, Claims
from unbraid.batch.journal import Entry, Journal
from unbraid.batch.request import BatchRequest
from unbraid.batch.settled import Settled
from unbraid.tracks.inputs import find_inputs, identities
from unbraid.tracks.names import OutputPlan
from unbraid.tracks.records import load_record, stamp_of
from unbraid.tracks.result import TrackResult, failed

STATE = Path(".unbraid") / "batch"

OnResult = Callable[[TrackResult], None]


@dataclass(frozen=True)
class _Taken:
    """A song that is claimed; `source` is its size and time before it was read."""

    plan: OutputPlan
    claim: Claim
    attempt: int
    source: tuple[int, int] | None


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
        self._settled = Settled(request.settle_s)
        self._on_result = on_result
        self._inputs: list[tuple[int, int]] = []

    def run(self) -> None:
        """Work until every song is done or has failed for good; with `watch` until cancelled.

        Raises:
            Cancelled: if `cancel` was set.
            UnbraidError: if the disk is full, or the state of the batch cannot be written.
        """
        folder = self._request.folder / STATE
        lease_s = self._request.lease_s
        with Claims(folder / "claims", self._owner, lease_s) as claims:
            self._forget(self._journal)
            plans, look_s = self._look()
            self._bury(plans, claims)
            while True:
                self._work_on(plans, claims)
                if not self._request.watch and not self._open(plans):
                    claims.clear({plan.group for plan in plans})
                    return
                self._cancel.check()
                time.sleep(look_s)
                if self._request.watch:
                    plans, look_s = self._look()

    def _look(self) -> tuple[list[OutputPlan], float]:
        """The songs of this share, and a pause: looking at them is to take little of the time.

        The order is that of their names, the same for all workers.
        """
        begun = time.monotonic()
        request = self._request
        tracks = find_inputs(list(request.inputs), request.folder, stream=request.stream)
        tracks = [track for track in tracks if track.problem is None]  # no song, so no attempt
        if request.watch:
            resting = self._settled.among({track.path: stamp_of(track.path) for track in tracks})
            tracks = [track for track in tracks if track.path in resting]
        self._inputs = identities(tracks)
        plans = self._separator.plan(tracks, request.folder, self._output)
        part, parts = request.shard
        return plans[part - 1 :: parts], max(LOOK_S, 4 * (time.monotonic() - begun))

    def _bury(self, plans: Sequence[OutputPlan], claims: Claims) -> None:
        """Count the songs that a dead worker held as failed, and free them."""
        if self._after is None:
            return
        held = claims.give_up(self._after)
        for plan in plans:
            if plan.group in held:
                source = stamp_of(plan.track.path)
                attempt = self._due(self._last(plan, source)) or 1
                self._end(plan, attempt, source, failed(plan, self._cause), self._after)

    def _work_on(self, plans: Sequence[OutputPlan], claims: Claims) -> None:
        """All songs that are due: new ones in one line, then each that has failed before, alone.

        Those may take their worker with them, and the songs that it holds.
        """
        self._run(self._claimed(plans, claims, again=False), claims)
        for taken in self._claimed(plans, claims, again=True):
            self._run(iter([taken]), claims)

    def _run(self, songs: Iterator[_Taken], claims: Claims) -> None:
        """Separate songs that are claimed one by one, as the line has room for them."""
        line: deque[_Taken] = deque()

        def plans() -> Iterator[OutputPlan]:
            for taken in songs:
                line.append(taken)
                yield taken.plan

        results = self._separator.separate_line(
            plans(), self._output, inputs=self._inputs, cancel=self._cancel
        )
        with closing(results):
            for result in results:
                stop_if_full(result)
                taken = line.popleft()
                if taken.claim.is_held():  # else it was taken over, and another worker reports it
                    self._end(taken.plan, taken.attempt, taken.source, result, claims.owner)
                claims.release(taken.claim)

    def _claimed(
        self, plans: Sequence[OutputPlan], claims: Claims, *, again: bool
    ) -> Iterator[_Taken]:
        """Claim one song after the other: those to try for the first time, or again."""
        for plan in plans:
            if not self._is_wanted(self._due(self._last(plan, stamp_of(plan.track.path))), again):
                continue
            claim = claims.take(plan.group)
            if claim is None:
                continue
            source = stamp_of(plan.track.path)
            attempt = self._due(self._last(plan, source))  # another worker may have done it
            if attempt is None or not self._is_wanted(attempt, again):
                claims.release(claim)
                continue
            yield _Taken(plan, claim, attempt, source)

    def _open(self, plans: Sequence[OutputPlan]) -> list[OutputPlan]:
        """The songs that are not done and have not failed for good."""
        return [p for p in plans if not self._is_settled(self._last(p, stamp_of(p.track.path)))]

    def _last(self, plan: OutputPlan, source: tuple[int, int] | None) -> Entry | None:
        """The last attempt at this very content, with these settings, that still counts."""
        last = self._counting(self._journal.last(plan.group, self._digest), source)
        if last is not None and last.status != "failed" and not _has_files(plan):
            return None
        return last

    def _end(
        self,
        plan: OutputPlan,
        attempt: int,
        source: tuple[int, int] | None,
        result: TrackResult,
        worker: str,
    ) -> None:
        self._journal.append(
            self._entry(
                result,
                song=str(plan.track.path),
                key=plan.group,
                attempt=attempt,
                worker=worker,
                source=source,
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
