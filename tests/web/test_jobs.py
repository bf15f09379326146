from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from unbraid.web.choices import JobSettings
from unbraid.web.job import Live
from unbraid.web.jobs import JobStore
from unbraid.web.messages import SongFacts

SETTINGS = JobSettings("mini")


@pytest.fixture
def store(tmp_path: Path):
    made = JobStore(tmp_path / "jobs.sqlite3")
    yield made
    made.close()


def add(store: JobStore, *ids: str, **more: object) -> None:
    for id in ids:
        assert store.add(id, f"Song {id}.mp3", ".mp3", SETTINGS, **more) is not None


def test_jobs_run_in_the_order_they_came(store):
    add(store, "a", "b", "c")
    assert [store.claim().id, store.claim().id, store.claim().id] == ["a", "b", "c"]
    assert store.claim() is None


def test_positions_count_only_those_who_wait(store):
    add(store, "a", "b", "c")
    store.claim()
    positions = [store.position(store.get(id)) for id in "abc"]
    assert positions == [None, 1, 2]


def test_a_job_that_ran_when_the_server_died_waits_again_in_its_old_place(tmp_path):
    path = tmp_path / "jobs.sqlite3"
    first = JobStore(path)
    add(first, "a", "b")
    first.claim()  # and the process is killed: nothing is closed
    second = JobStore(path)
    assert second.requeue_all() == ["a"]
    assert [job.id for job in second.with_status("queued")] == ["a", "b"]
    assert second.claim().id == "a"
    first.close()
    second.close()


def order(store: JobStore) -> str:
    return "".join(job.id for job in store.with_status("queued"))


def test_a_moved_job_takes_its_position_and_the_others_keep_their_order(store):
    add(store, *"abcde")
    for id, position, wanted in (
        *(("d", 1, "dabce"), ("a", 5, "dbcea"), ("c", 2, "dcbea")),
        *(("e", 10**9, "dcbae"), ("e", 5, "dcbae"), ("d", 0, "dcbae")),
    ):
        assert store.move(id, position) and order(store) == wanted
        assert [store.position(store.get(id)) for id in wanted] == [1, 2, 3, 4, 5]
    add(store, "f")
    assert order(store) == "dcbaef"
    assert [store.claim().id for _ in range(6)] == list("dcbaef")


def test_only_jobs_that_wait_are_moved(store):
    add(store, *"abc")
    store.claim()
    assert not store.move("a", 2) and not store.move("nobody", 1)
    assert store.move("c", 1) and order(store) == "cb"
    store.requeue("a")  # the one that ran comes back before them, as ever
    assert order(store) == "acb"


def test_the_order_of_the_queue_outlives_the_server(tmp_path):
    first = JobStore(tmp_path / "jobs.sqlite3")
    add(first, *"abc")
    first.move("c", 1)
    second = JobStore(tmp_path / "jobs.sqlite3")
    assert order(second) == "cab"
    first.close()
    second.close()


def test_a_job_is_claimed_once(store):
    add(store, "a")
    assert store.claim() is not None and store.claim() is None


def test_a_final_job_does_not_change_its_mind(store):
    add(store, "a")
    store.claim()
    assert store.finish("a", "succeeded")
    assert not store.finish("a", "failed") and not store.cancel_waiting("a")
    assert not store.retry("a", 10) and not store.requeue("a")
    assert store.get("a").status == "succeeded"


def test_only_failed_and_cancelled_jobs_are_retried_and_forget_what_was(store):
    add(store, "a")
    store.claim()
    store.learn("a", SongFacts(samples=5))
    store.requeue("a", crashed=True)
    store.claim()
    store.finish("a", "failed", "It broke.")
    assert store.retry("a", 10)
    job = store.get("a")
    assert (job.status, job.error, job.crashes, job.facts) == ("queued", None, 0, SongFacts())


def test_the_queue_takes_no_more_than_it_may(store):
    add(store, "a", "b", most_waiting=2)
    assert store.add("c", "c", "", SETTINGS, most_waiting=2) is None
    assert store.ids() == {"a", "b"}
    store.cancel_waiting("a")
    add(store, "c", most_waiting=2)
    assert not store.retry("a", 2)


def test_search_is_for_parts_of_names_in_any_case_and_knows_no_patterns(store):
    for id, name in enumerate(("Straße 100%.mp3", "strasse.mp3", "a_b.mp3", "a\\b.mp3", "ΩΣ.wav")):
        store.add(str(id), name, "", SETTINGS)
    found = {q: [job.name for job in store.find(q)[0]] for q in ("STRASSE", "%", "_", "\\", "ως")}
    assert found == {
        "STRASSE": ["strasse.mp3", "Straße 100%.mp3"],
        "%": ["Straße 100%.mp3"],
        "_": ["a_b.mp3"],
        "\\": ["a\\b.mp3"],
        "ως": ["ΩΣ.wav"],
    }


def test_pages_of_the_library_come_newest_first_with_the_total(store):
    add(store, *"abcde")
    jobs, total = store.find("song", (), 2, 1)
    assert ([job.id for job in jobs], total) == (["d", "c"], 5)
    store.claim()
    assert [job.id for job in store.find("", ("running", "failed"))[0]] == ["a"]


def test_progress_is_told_of_running_jobs_alone(store):
    add(store, "a")
    store.report("a", Live("separating", 0.5))
    assert store.get("a").live.progress == 0.0
    store.claim()
    store.report("a", Live("separating", 0.5))
    assert store.get("a").live.progress == 0.5
    store.finish("a", "canceled")
    assert store.get("a").live.progress == 0.0


def test_old_songs_are_those_that_ended_before_and_never_the_demo(store):
    add(store, "a", "b")
    add(store, "c", demo=True)
    for _ in range(2):
        store.finish(store.claim().id, "succeeded")
    store.finish(store.claim().id, "succeeded")
    end = store.get("b").finished
    assert {job.id for job in store.finished_before(end + 1)} == {"a", "b"}
    assert store.finished_before(store.get("a").finished) == []


def test_the_database_is_in_wal_mode(store, tmp_path):
    with sqlite3.connect(tmp_path / "jobs.sqlite3") as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()


def test_a_job_is_on_the_disk_when_it_is_said_to_be(store):
    assert store._db.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL


def test_facts_add_up_and_those_of_another_version_are_ignored(store):
    add(store, "a")
    store.learn("a", SongFacts(samples=5, parts=("drums", "bass")))
    store.learn("a", SongFacts(gain_db=-1.0))
    assert store.get("a").facts == SongFacts(samples=5, parts=("drums", "bass"), gain_db=-1.0)
    assert SongFacts.from_plain({"samples": 5, "mood": "blue"}) == SongFacts(samples=5)
