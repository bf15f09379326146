"""A worker on URLs: songs are copied from where they are, separated here, and their stems uploaded.

claim a few songs -> download -> separate (in a temporary folder) -> upload -> journal
while these are separated, the next few are claimed and downloaded
"""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unbraid.api import Separator
from unbraid.batch.base_worker import AHEAD, LOOK_S, BaseWorker
from unbraid.batch.journal import Entry
from unbraid.batch.request import BatchRequest
from unbraid.batch.store import RemoteSong, Store, find_songs
from unbraid.batch.store_state import StoreClaims, StoreJournal
from unbraid.errors import AudioWriteError, UnbraidError
from unbraid.side_by_side import ahead
from unbraid.tracks.names import InputTrack, OutputPlan
from unbraid.tracks.records import load_record
from unbraid.tracks.result import TrackResult, failed


@dataclass(frozen=True)
class _Taken:
    """A song that is claimed: where it is, where its stems go, and the number of the attempt."""

    song: RemoteSong
    plan: OutputPlan
    attempt: int
    problem: str | None = None


class StoreWorker(BaseWorker):
    """One worker of a batch with songs or output at URLs.

    Args:
        request: the batch.
        separator: the model, ready to run.
        options: as `BaseWorker` takes them.
    """

    def __init__(self, request: BatchRequest, separator: Separator, **options: Any) -> None:
        super().__init__(request, separator, request.output, **options)
        self._name = self._owner or uuid.uuid4().hex
        self._store = Store(str(request.out))
        self._journal = StoreJournal(self._store, self._name)

    def run(self) -> None:
        """Work until every song is done or has failed for good.

        Raises:
            Cancelled: if `cancel` was set.
        """
        with (
            StoreClaims(self._store, self._name, self._request.lease_s) as claims,
            tempfile.TemporaryDirectory(prefix="unbraid-batch-") as folder,
        ):
            songs = self._songs(Path(folder))
            self._bury(songs, claims)
            while True:
                with closing(ahead(self._taken(songs, claims), depth=1)) as batches:
                    for batch in batches:
                        self._separate(batch, claims)
                if not self._open(songs):
                    break
                self._cancel.check()
                time.sleep(LOOK_S)
        self._journal.publish()

    def _songs(self, folder: Path) -> list[tuple[RemoteSong, OutputPlan]]:
        """The songs of this share and where their stems go, below a local folder."""
        request = self._request
        songs = find_songs(request.inputs, self._store.url)
        tracks = [
            InputTrack(
                Path(song.name),
                song.folder,
                stream=request.stream,
                copy=folder / f"{number}{Path(song.name).suffix}",
            )
            for number, song in enumerate(songs)
        ]
        plans = self._separator.plan(tracks, folder / "stems", self._output)
        part, parts = request.shard
        return list(zip(songs, plans, strict=True))[part - 1 :: parts]

    def _bury(self, songs: list[tuple[RemoteSong, OutputPlan]], claims: StoreClaims) -> None:
        """Count the songs that a dead worker held as failed, and free them."""
        if self._after is None:
            return
        held = claims.give_up(self._after)
        self._journal.look()
        for song, plan in songs:
            if plan.group in held:
                attempt = self._attempt_of(song, plan) or 1
                self._end(_Taken(song, plan, attempt), failed(plan, self._cause), self._after)

    def _taken(
        self, songs: list[tuple[RemoteSong, OutputPlan]], claims: StoreClaims
    ) -> Iterator[list[_Taken]]:
        """The songs that are still to be done, claimed and downloaded a few at a time."""
        batch = list[_Taken]()
        self._journal.look()
        for song, plan in songs:
            if self._attempt_of(song, plan) is None or not claims.take(plan.group):
                continue
            self._journal.look()  # another may have done it meanwhile
            attempt = self._attempt_of(song, plan)
            if attempt is None:
                claims.release(plan.group)
                continue
            batch.append(_Taken(song, plan, attempt))
            if len(batch) == AHEAD or attempt > 1:  # one that failed before comes alone
                yield self._downloaded(batch)
                batch = []
        if batch:
            yield self._downloaded(batch)

    def _downloaded(self, batch: list[_Taken]) -> list[_Taken]:
        with ThreadPoolExecutor(AHEAD) as pool:
            return list(pool.map(_download, batch))

    def _separate(self, batch: list[_Taken], claims: StoreClaims) -> None:
        good = [taken for taken in batch if taken.problem is None]
        for taken in batch:
            if taken.problem is not None:
                self._finish(taken, failed(taken.plan, taken.problem), claims)
        results = self._separator.separate_many(
            [taken.plan for taken in good], output=self._output, cancel=self._cancel
        )
        with closing(results):
            for taken, result in zip(good, results, strict=True):
                self._finish(taken, result, claims)

    def _finish(self, taken: _Taken, result: TrackResult, claims: StoreClaims) -> None:
        """Upload the stems, note the end, give the song back, and remove what is here of it."""
        if claims.is_held(taken.plan.group):  # else it was taken over, and another one reports it
            self._end(taken, self._uploaded(taken, result), self._name)
        claims.release(taken.plan.group)
        for path in (*result.outputs.values(), taken.plan.track.file):
            path.unlink(missing_ok=True)

    def _uploaded(self, taken: _Taken, result: TrackResult) -> TrackResult:
        if result.status == "failed":
            return result
        plan = taken.plan.named(_heard(taken.plan, result))
        try:
            if not self._journal.is_ours(plan.group):
                self._check_free(plan)
                self._journal.note_upload(plan.group)
            for part, name in plan.everything.items():
                self._store.upload(plan.path(part), name)
        except UnbraidError as error:
            return failed(plan, str(error))
        except Exception as error:  # each kind of store has errors of its own
            return failed(plan, f"upload to {self._store.url}: {type(error).__name__}: {error}")
        outputs = {part: Path(name) for part, name in plan.files.items()}
        return replace(result, outputs=outputs)

    def _check_free(self, plan: OutputPlan) -> None:
        """Refuse to replace objects that were not written for this song."""
        for name in plan.everything.values():
            if not self._output.overwrite and self._store.exists(name):
                raise AudioWriteError(
                    f"{self._store.url}/{name} exists and was not written by unbraid; use "
                    "--overwrite to replace it"
                )

    def _open(self, songs: list[tuple[RemoteSong, OutputPlan]]) -> bool:
        self._journal.look()
        return not all(self._is_settled(self._last(song, plan)) for song, plan in songs)

    def _attempt_of(self, song: RemoteSong, plan: OutputPlan) -> int | None:
        """Number of the attempt that is due, as of the last look; None if none is."""
        return self._due(self._last(song, plan))

    def _last(self, song: RemoteSong, plan: OutputPlan) -> Entry | None:
        """The last attempt that counts, as of the last look."""
        return self._counting(self._journal.known(plan.group, self._digest), song.stamp)

    def _end(self, taken: _Taken, result: TrackResult, worker: str) -> None:
        self._journal.append(
            self._entry(
                result,
                song=taken.song.url,
                key=taken.plan.group,
                attempt=taken.attempt,
                worker=worker,
                source=taken.song.stamp,
                outputs={p: f"{self._store.url}/{name}" for p, name in result.outputs.items()},
            )
        )


def _download(taken: _Taken) -> _Taken:
    file = taken.plan.track.file
    try:
        taken.song.download(file)
    except UnbraidError as error:
        return replace(taken, problem=str(error))
    return taken


def _heard(plan: OutputPlan, result: TrackResult) -> dict[str, str]:
    """What was heard in the song, if its names say so."""
    return dict(load_record(plan).heard) if plan.fields and result.outputs else {}
