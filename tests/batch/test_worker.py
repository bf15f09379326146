"""Workers in this process: what happens to a song while they work, and to the disk."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest
import soundfile

from small_songs import LowHigh, noise, write_song
from unbraid import OutputSettings, Separator, SettingsError, UnbraidError
from unbraid.batch import worker as worker_module
from unbraid.batch.base_worker import stop_if_full
from unbraid.batch.claims import Claims
from unbraid.batch.journal import Journal
from unbraid.batch.request import BatchRequest
from unbraid.batch.settled import Settled
from unbraid.batch.worker import STATE, Worker
from unbraid.errors import DiskFull
from unbraid.separation.progress import CancelToken
from unbraid.tracks.decode import decode
from unbraid.tracks.result import TrackResult

SONGS = 4


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "LOOK_S", 0.01)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Some short songs."""
    for number in range(SONGS):
        write_song(tmp_path / "library" / f"{number}.wav", noise(0.1, seed=number))
    return tmp_path / "library"


def work(
    library: Path,
    model: LowHigh | None = None,
    separation: dict[str, Any] | None = None,
    cancel: CancelToken | None = None,
    **more: Any,
) -> list[TrackResult]:
    """Run a worker; returns the results of what it did."""
    settings = {"retries": 1, "first_pause_s": 0.01, **more}
    request = BatchRequest((str(library),), library.parent / "out", **settings)
    results: list[TrackResult] = []
    separator = Separator(model or LowHigh(), **(separation or {}))
    Worker(request, separator, results.append, cancel=cancel).run()
    return results


def stems(library: Path) -> dict[str, bytes]:
    out = library.parent / "out"
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.wav")}


def test_all_new_songs_are_one_line_and_a_song_that_failed_comes_alone(library, monkeypatch):
    (library / "2.wav").write_bytes(b"no song")
    lines: list[list[str]] = []
    real = Separator.separate_line

    def counting(self, plans, *arguments, **named):
        line: list[str] = []
        lines.append(line)
        told = (line.append(plan.track.name) or plan for plan in plans)
        return real(self, told, *arguments, **named)

    monkeypatch.setattr(Separator, "separate_line", counting)
    work(library)
    assert [line for line in lines if line] == [[f"{n}.wav" for n in range(SONGS)], ["2.wav"]]


def test_the_next_song_is_decoded_while_the_model_has_one(library, monkeypatch):
    change, counts = threading.Condition(), {"decoded": 0, "separated": 0}

    def counting(*arguments):
        with change:
            counts["decoded"] += 1
            change.notify_all()
        return decode(*arguments)

    class Waiting(LowHigh):
        def __call__(self, mixture):
            with change:
                counts["separated"] += 1
                wanted = min(counts["separated"] + 1, SONGS)
                assert change.wait_for(lambda: counts["decoded"] >= wanted, timeout=60)
            return super().__call__(mixture)

    monkeypatch.setattr("unbraid.tracks.line.decode", counting)
    assert [result.status for result in work(library, Waiting())] == ["done"] * SONGS


def test_a_song_that_changes_while_it_is_separated_is_done_again(library):
    song = library / "0.wav"

    class Changing(LowHigh):
        has_changed = False

        def __call__(self, mixture):
            if not Changing.has_changed:
                Changing.has_changed = True
                write_song(song, noise(0.2, seed=9))
            return super().__call__(mixture)

    results = work(library, Changing())
    assert [result.input for result in results].count(str(song)) == 2
    assert soundfile.info(library.parent / "out" / "0" / "low.wav").duration == 0.2
    assert work(library, Changing()) == []


def test_stems_that_another_batch_has_replaced_are_made_again(library):
    work(library)
    first = stems(library)
    other = {"output": OutputSettings(bit_depth="24")}
    assert len(work(library, **other)) == SONGS
    assert stems(library) != first
    assert len(work(library)) == SONGS
    assert stems(library) == first
    assert work(library) == []


def test_batches_that_replace_each_others_stems_at_the_same_time_both_end(library):
    def run(depth: str) -> None:
        work(library, output=OutputSettings(bit_depth=depth))

    both = [threading.Thread(target=run, args=[depth]) for depth in ("16", "24")]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(60)
    assert not any(thread.is_alive() for thread in both)
    assert len(stems(library)) == 2 * SONGS


def test_other_parts_in_the_same_folder_replace_nothing(library):
    work(library)
    assert len(work(library, output=OutputSettings(two_stems="low", only=("no_low",)))) == SONGS
    assert work(library) == []


def _full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "place",
    [
        "unbraid.tracks.write.rename_all",
        "unbraid.tracks.write.save_record",
        "unbraid.tracks.spool.Spool.append",
        "unbraid.batch.claims.Claims._make",
        "unbraid.batch.journal.Journal._append",
    ],
)
def test_a_full_disk_stops_the_batch_and_fails_no_song(library, monkeypatch, place):
    with monkeypatch.context() as patch:
        patch.setattr(place, _full)
        with pytest.raises(DiskFull, match="no space left on device"):
            work(library)
    out = library.parent / "out"
    assert Journal(out).entries() == []
    assert not list(out.rglob("*.claim"))
    results = work(library)
    assert [result.status for result in results] == ["done"] * SONGS or "_append" in place
    assert len(stems(library)) == 2 * SONGS
    assert len(Journal(out).entries()) == SONGS


def test_the_claim_of_a_song_that_was_done_when_its_worker_died_is_removed(library):
    work(library)
    folder = library.parent / "out" / STATE / "claims"
    dead = Claims(folder)
    dead.take("0/*.wav")
    dead.take("another batch/*.wav")
    dead._closed.set()
    for file in folder.glob("*.claim"):
        os.utime(file, (1, 1))
    assert work(library) == []
    (left,) = folder.glob("*.claim")
    assert "another batch" in left.read_text()


def test_a_failed_song_does_not_stop_it():
    stop_if_full(TrackResult("song.wav", "failed", error="no space left on device"))


def test_songs_of_one_name_keep_their_stems_when_another_one_comes(library):
    work(library)
    first = stems(library)
    sound, rate = soundfile.read(library / "0.wav")
    soundfile.write(library / "0.flac", sound * 0.5, rate)  # before "0.wav" in the order of names
    (result,) = work(library)
    assert result.outputs["low"].parent.name == "0.flac"
    assert first.items() <= stems(library).items()


def test_a_song_that_failed_before_is_tried_again_once_however_often_its_worker_dies(library):
    (library / "0.wav").write_bytes(b"no song")
    work(library)
    request = BatchRequest(
        (str(library),), library.parent / "out", retries=1, first_pause_s=0.01, retry_failed=True
    )
    for _ in range(3):  # each replaces one that has died
        Worker(request, Separator(LowHigh())).run()
    failed = [entry.attempt for entry in Journal(request.folder).lines() if entry.error]
    assert failed == [1, 2, 1, 2]


def test_a_failure_from_a_wrong_clock_is_tried_again_all_the_same(library, monkeypatch):
    (library / "0.wav").write_bytes(b"no song")
    with monkeypatch.context() as patch:
        patch.setattr("unbraid.batch.base_worker.time.time", lambda: 4e9)
        work(library, retries=0)
    (result,) = work(library, retries=1)
    assert result.status == "failed"
    assert [e.attempt for e in Journal(library.parent / "out").lines() if e.error] == [1, 2]


def test_a_watched_folder_may_be_empty_and_new_songs_are_taken_when_they_rest(tmp_path):
    library, cancel = tmp_path / "library", CancelToken()
    library.mkdir()
    ends: list[TrackResult] = []

    class Until(LowHigh):
        def __call__(self, mixture):
            cancel.cancel()
            return super().__call__(mixture)

    def run() -> None:
        try:
            ends.extend(work(library, Until(), cancel=cancel, watch=True, settle_s=0.05))
        except UnbraidError:
            return

    thread = threading.Thread(target=run)
    thread.start()
    write_song(library / "song.wav", noise(0.1))
    thread.join(60)
    assert not thread.is_alive()
    assert all(entry.error is None for entry in Journal(tmp_path / "out").lines())


def test_a_file_rests_when_it_has_looked_the_same_for_long_enough():
    now = [0.0]
    settled = Settled(5, lambda: now[0])
    old, growing = Path("old"), Path("growing")
    steps = [(0, 1, []), (4, 2, []), (6, 3, [old]), (10, 3, [old]), (11, 3, [old, growing])]
    for seconds, size, expected in steps:
        now[0] = seconds
        files = {old: (9, 1), growing: (size, 0), Path("gone"): None}
        assert sorted(settled.among(files)) == sorted(expected)


def test_standard_input_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="standard input"):
        BatchRequest(("-",), tmp_path)
