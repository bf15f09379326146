"""Claims: one worker per song, and the song of a dead worker is taken over once."""

from __future__ import annotations

import multiprocessing
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from unbraid.batch.claims import Claims, owners


def test_a_song_belongs_to_one_worker_until_it_is_given_back(tmp_path: Path) -> None:
    with Claims(tmp_path) as one, Claims(tmp_path) as other:
        claim = one.take("song")
        assert claim is not None
        assert claim.is_held()
        assert other.take("song") is None
        assert other.take("another song") is not None
        one.release(claim)
        assert other.take("song") is not None


def test_of_many_workers_that_reach_for_a_song_one_gets_it(tmp_path: Path) -> None:
    workers = [Claims(tmp_path) for _ in range(16)]
    with ThreadPoolExecutor(16) as pool:
        claims = list(pool.map(lambda worker: worker.take("song"), workers))
    assert sum(claim is not None for claim in claims) == 1
    for worker in workers:
        worker.close()


class Clock:
    """A clock that tests set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def _touched(folder: Path, seconds_ago: float) -> None:
    (file,) = folder.glob("*.claim")
    then = time.time() - seconds_ago
    os.utime(file, (then, then))


def test_of_many_workers_that_take_over_a_dead_ones_song_one_gets_it(tmp_path: Path) -> None:
    clock = Clock()
    workers = [Claims(tmp_path, lease_s=30, clock=clock) for _ in range(16)]
    assert workers[0].take("song") is not None
    _touched(tmp_path, 100)
    assert not any(worker.take("song") for worker in workers[1:])  # it may have slept
    clock.now = 20
    with ThreadPoolExecutor(15) as pool:
        claims = list(pool.map(lambda worker: worker.take("song"), workers[1:]))
    assert sum(claim is not None for claim in claims) == 1
    for worker in workers:
        worker.close()


def test_a_worker_that_lost_its_song_knows_and_leaves_it_alone(tmp_path: Path) -> None:
    clock = Clock()
    with (
        Claims(tmp_path, lease_s=30) as slow,
        Claims(tmp_path, lease_s=30, clock=clock) as other,
    ):
        lost = slow.take("song")
        assert lost is not None
        _touched(tmp_path, 100)
        assert other.take("song") is None
        clock.now = 20
        taken = other.take("song")
        assert taken is not None
        assert not lost.is_held()
        slow.release(lost)
        assert taken.is_held()


@pytest.mark.parametrize("wrong", [-1e6, 1e6])
def test_a_claim_from_a_wrong_clock_is_taken_over_too_if_nobody_renews_it(
    tmp_path: Path, wrong: float
) -> None:
    clock = Clock()
    with Claims(tmp_path, lease_s=30) as dead, Claims(tmp_path, clock=clock, lease_s=30) as other:
        dead.take("song")
        _touched(tmp_path, wrong)
        assert other.take("song") is None
        clock.now = 14
        assert other.take("song") is None
        _touched(tmp_path, wrong + 1)  # it lives, whatever its clock says
        clock.now = 20
        assert other.take("song") is None
        clock.now = 36
        assert other.take("song") is not None


def test_owners_are_known_in_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch) -> None:
    with Claims(tmp_path) as one:
        one.take("song")
        monkeypatch.setattr(Path, "touch", lambda *_: (_ for _ in ()).throw(PermissionError))
        assert owners(tmp_path) == [one.owner]


def test_a_living_worker_keeps_its_song_beyond_the_lease(tmp_path: Path) -> None:
    with Claims(tmp_path, lease_s=1) as one, Claims(tmp_path, lease_s=1) as other:
        assert one.take("song") is not None
        time.sleep(2.5)
        assert other.take("song") is None


def _die_with_a_claim(folder: Path) -> None:
    Claims(folder, lease_s=1).take("song")
    os._exit(1)


def test_the_song_of_a_killed_worker_is_free_after_the_lease(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(
        target=_die_with_a_claim, args=[tmp_path]
    )
    process.start()
    process.join()
    with Claims(tmp_path, lease_s=1) as other:
        deadline = time.monotonic() + 20
        while (claim := other.take("song")) is None and time.monotonic() < deadline:
            time.sleep(0.2)
        assert claim is not None
        assert owners(tmp_path, 1) == [other.owner]


def test_what_the_dead_left_while_they_claimed_is_cleared(tmp_path: Path) -> None:
    with Claims(tmp_path, lease_s=30) as claims:
        assert claims.take("song") is not None
        for name in (".dead.draft", ".dead.now", ".living.draft"):
            (tmp_path / name).touch()
        os.utime(tmp_path / ".dead.draft", (0, 0))
        os.utime(tmp_path / ".dead.now", (0, 0))
        claims.clear(set())
        assert {path.suffix for path in tmp_path.iterdir()} == {".claim", ".draft"}
        assert (tmp_path / ".living.draft").exists()
