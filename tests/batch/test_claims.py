"""Claims: one worker per song, and the song of a dead worker is taken over once."""

from __future__ import annotations

import multiprocessing
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from unbraid.batch.claims import Claims


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


def test_of_many_workers_that_take_over_a_dead_ones_song_one_gets_it(tmp_path: Path) -> None:
    workers = [Claims(tmp_path, lease_s=30) for _ in range(16)]
    assert workers[0].take("song") is not None
    (file,) = tmp_path.glob("*.claim")
    long_ago = time.time() - 100
    os.utime(file, (long_ago, long_ago))
    with ThreadPoolExecutor(15) as pool:
        claims = list(pool.map(lambda worker: worker.take("song"), workers[1:]))
    assert sum(claim is not None for claim in claims) == 1
    for worker in workers:
        worker.close()


def test_a_worker_that_lost_its_song_knows_and_leaves_it_alone(tmp_path: Path) -> None:
    with Claims(tmp_path, lease_s=30) as slow, Claims(tmp_path, lease_s=30) as other:
        lost = slow.take("song")
        assert lost is not None
        (file,) = tmp_path.glob("*.claim")
        os.utime(file, (1, 1))
        taken = other.take("song")
        assert taken is not None
        assert not lost.is_held()
        slow.release(lost)
        assert taken.is_held()


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
        assert list(other.owners()) == [other.owner]
