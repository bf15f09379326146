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

from unbraid.api import Separator
from unbraid.batch.journal import Entry
from unbraid.batch.request import BatchRequest
from unbraid.batch.store import RemoteSong, Store, find_songs
from unbraid.batch.store_state import StoreClaims, StoreJournal
from unbraid.errors import AudioWriteError, UnbraidError
from unbraid.separation.progress import CancelToken
from unbraid.side_by_side import ahead
from unbraid.tracks.names import InputTrack, OutputPlan
from unbraid.tracks.records import load_record
from unbraid.tracks.result import TrackResult, failed

_AHEAD = 3
_LOOK_S = 0.5


@dataclass(frozen=True)
class _Taken:
    """A song that is claimed: where it is, where its stems go, and the number of the attempt."""

    song: RemoteSong
    plan: OutputPlan
    attempt: int
    problem: str | None = None


class StoreWorker:
    """One worker of a batch whose songs or output are at URLs.

    Args:
        request: the batch.
        separator: separates.
        cancel: stops it.
        owner: name of the worker; None makes one.
        after: name of a dead worker that this one replaces.
        cause: how that one died.
    """

    def __init__(
        self,
        request: BatchRequest,
        separator: Separator,
        *,
        cancel: CancelToken | None = None,
        owner: str | None = None,
        after: str | None = None,
        cause: str = "",
    ) -> None:
        self._request, self._separator = request, separator
        self._owner = owner or uuid.uuid4().hex
        self._after, self._cause = after, cause
        self._cancel = cancel or CancelToken()
        self._began = time.time()
        self._digest = separator.request(request.output)
        self._store = Store(str(request.out))
        self._journal = StoreJournal(self._store, self._owner)

    def run(self) -> None:
        """Work until every song is done or has failed for good.

        Raises:
            Cancelled: if `cancel` was set.
        """
        with (
            StoreClaims(self._store, self._owner, self._request.lease_s) as claims,
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
                time.sleep(_LOOK_S)
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
        plans = self._separator.plan(tracks, folder / "stems", request.output)
        part, parts = request.shard
        return list(zip(songs, plans, strict=True))[part - 1 :: parts]

    def _bury(self, songs: list[tuple[RemoteSong, OutputPlan]], claims: StoreClaims) -> None:
        """Count the songs that a dead worker held as failed, and free them."""
        if self._after is None:
            return
        held = claims.give_up(self._after)
        latest = self._journal.latest(self._digest)
        for song, plan in songs:
            if plan.group in held:
                attempt = self._due(song, latest.get(plan.group)) or 1
                self._end(_Taken(song, plan, attempt), failed(plan, self._cause), self._after)

    def _taken(
        self, songs: list[tuple[RemoteSong, OutputPlan]], claims: StoreClaims
    ) -> Iterator[list[_Taken]]:
        """The songs that are still to be done, claimed and downloaded a few at a time."""
        latest, batch = self._journal.latest(self._digest), list[_Taken]()
        for song, plan in songs:
            attempt = self._due(song, latest.get(plan.group))
            if attempt is None or not claims.take(plan.group):
                continue
            latest = self._journal.latest(self._digest)  # another may have done it meanwhile
            attempt = self._due(song, latest.get(plan.group))
            if attempt is None:
                claims.release(plan.group)
                continue
            batch.append(_Taken(song, plan, attempt))
            if len(batch) == _AHEAD or attempt > 1:  # one that failed before comes alone
                yield self._downloaded(batch)
                batch = []
        if batch:
            yield self._downloaded(batch)

    def _downloaded(self, batch: list[_Taken]) -> list[_Taken]:
        with ThreadPoolExecutor(_AHEAD) as pool:
            return list(pool.map(_download, batch))

    def _separate(self, batch: list[_Taken], claims: StoreClaims) -> None:
        good = [taken for taken in batch if taken.problem is None]
        for taken in batch:
            if taken.problem is not None:
                self._finish(taken, failed(taken.plan, taken.problem), claims)
        results = self._separator.separate_many(
            [taken.plan for taken in good], output=self._request.output, cancel=self._cancel
        )
        with closing(results):
            for taken, result in zip(good, results, strict=True):
                self._finish(taken, result, claims)

    def _finish(self, taken: _Taken, result: TrackResult, claims: StoreClaims) -> None:
        """Upload the stems, note the end, give the song back, and remove what is here of it."""
        if claims.is_held(taken.plan.group):  # else it was taken over, and another one reports it
            self._end(taken, self._uploaded(taken, result), self._owner)
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
            if not self._request.output.overwrite and self._store.exists(name):
                raise AudioWriteError(
                    f"{self._store.url}/{name} exists and was not written by unbraid; use "
                    "--overwrite to replace it"
                )

    def _open(self, songs: list[tuple[RemoteSong, OutputPlan]]) -> bool:
        latest = self._journal.latest(self._digest)
        for song, plan in songs:
            last = self._counting(song, latest.get(plan.group))
            if last is None or (last.status == "failed" and last.attempt <= self._request.retries):
                return True
        return False

    def _due(self, song: RemoteSong, last: Entry | None) -> int | None:
        """Number of the attempt that is due now; None if none is."""
        last = self._counting(song, last)
        if last is None:
            return 1
        if last.status != "failed" or last.attempt > self._request.retries:
            return None
        waited = time.time() >= last.time + self._request.pause_s(last.attempt)
        return last.attempt + 1 if waited else None

    def _counting(self, song: RemoteSong, last: Entry | None) -> Entry | None:
        """The last attempt, if it was at this content and is not to be forgotten."""
        if last is None or last.source != song.stamp:
            return None
        if last.status == "failed" and self._request.retry_failed and last.time < self._began:
            return None
        return last

    def _end(self, taken: _Taken, result: TrackResult, worker: str) -> None:
        self._journal.append(
            Entry(
                song=taken.song.url,
                key=taken.plan.group,
                request=self._digest,
                status=result.status,
                attempt=taken.attempt,
                time=time.time(),
                worker=worker,
                source=taken.song.stamp,
                outputs={
                    part: f"{self._store.url}/{name}" for part, name in result.outputs.items()
                },
                seconds_audio=result.seconds_audio,
                seconds_wall=result.seconds_wall,
                error=result.error,
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
