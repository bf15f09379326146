"""A worker on URLs: songs are copied from where they are, separated here, and their stems uploaded.

claim -> download -> separate (in a temporary folder) -> upload -> journal
while one song is separated, the next few are claimed and downloaded, and the last one is uploaded
"""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unbraid.api import Separator
from unbraid.batch.base_worker import LOOK_S, BaseWorker, stop_if_full
from unbraid.batch.journal import Entry
from unbraid.batch.request import BatchRequest
from unbraid.batch.store import RemoteSong, Store, find_songs
from unbraid.batch.store_state import StoreClaims, StoreJournal
from unbraid.errors import AudioWriteError, DiskFull, UnbraidError
from unbraid.scratch import temporary
from unbraid.side_by_side import Behind
from unbraid.tracks.failures import is_disk_full
from unbraid.tracks.names import InputTrack, OutputPlan
from unbraid.tracks.records import load_record
from unbraid.tracks.result import TrackResult, failed

_AHEAD = 2
"""Songs that are downloaded while others are separated."""


@dataclass(frozen=True)
class _Taken:
    """A song that is claimed: where it is, where its stems go, and the number of the attempt."""

    song: RemoteSong
    plan: OutputPlan
    attempt: int


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
            temporary() as scratch,
        ):
            claims.look()
            self._forget(self._journal)
            songs = self._songs(scratch.folder)
            self._bury(songs, claims)
            while True:
                self._run(self._claimed(songs, claims, again=False), claims)
                for taken in self._claimed(songs, claims, again=True):  # alone
                    self._run(iter([taken]), claims)
                if not self._open(songs):
                    claims.clear({plan.group for _, plan in songs})
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

    def _claimed(
        self, songs: list[tuple[RemoteSong, OutputPlan]], claims: StoreClaims, *, again: bool
    ) -> Iterator[_Taken]:
        """Claim one song after the other: those to try for the first time, or again."""
        self._journal.look()
        for song, plan in songs:
            if not self._is_wanted(self._attempt_of(song, plan), again):
                continue
            if not claims.take(plan.group):
                continue
            self._journal.look()  # another may have done it meanwhile
            attempt = self._attempt_of(song, plan)
            if attempt is None or not self._is_wanted(attempt, again):
                claims.release(plan.group)
                continue
            yield _Taken(song, plan, attempt)

    def _run(self, songs: Iterator[_Taken], claims: StoreClaims) -> None:
        """Separate songs that are claimed one by one, as the line has room for them."""
        line: deque[_Taken] = deque()

        def plans() -> Iterator[OutputPlan]:
            with closing(_downloaded(songs)) as ready:
                for taken in ready:
                    line.append(taken)
                    yield taken.plan

        def finish(ended: tuple[_Taken, TrackResult]) -> None:
            self._finish(*ended, claims)

        results = self._separator.separate_line(plans(), self._output, cancel=self._cancel)
        with Behind(finish, depth=1) as uploads, closing(results):
            for result in results:
                stop_if_full(result)
                uploads.push((line.popleft(), result))

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
            if self._journal.is_ours(plan.group):
                self._store.clear_unfinished(plan.everything.values())
            else:
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


def _downloaded(songs: Iterator[_Taken]) -> Generator[_Taken, None, None]:
    """The same songs in their order when they are here, some ahead."""
    with ThreadPoolExecutor(_AHEAD) as pool:
        coming: deque[Future[_Taken]] = deque()
        for taken in songs:
            coming.append(pool.submit(_download, taken))
            if len(coming) > _AHEAD:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def _download(taken: _Taken) -> _Taken:
    """The song as a file here, or with the reason why it is not.

    Raises:
        DiskFull: if there is no room for it here.
    """
    track = taken.plan.track
    try:
        taken.song.download(track.file)
    except UnbraidError as error:
        if error.__cause__ is not None and is_disk_full(error.__cause__):
            raise DiskFull(f"{error}; make room in the temporary folder") from error
        return replace(taken, plan=replace(taken.plan, track=replace(track, problem=str(error))))
    return taken


def _heard(plan: OutputPlan, result: TrackResult) -> dict[str, str]:
    """What was heard in the song, if its names say so."""
    return dict(load_record(plan).heard) if plan.fields and result.outputs else {}
