"""Songs in the pipeline: the order of steps, what runs beside what, and how it ends."""

from __future__ import annotations

import threading

import pytest

from unbraid.closing import Closing
from unbraid.errors import Cancelled
from unbraid.tracks.pipeline import Steps, run_pipeline
from unbraid.tracks.result import TrackResult

WAIT_S = 20


class Log(list[str]):
    """What happened, in its order, on any thread."""

    def __init__(self) -> None:
        self._news = threading.Condition()

    def note(self, entry: str) -> None:
        with self._news:
            self.append(entry)
            self._news.notify_all()

    def wait_for(self, entries: set[str]) -> None:
        with self._news:
            assert self._news.wait_for(lambda: entries <= set(self), WAIT_S)


class FakeSong(Closing):
    """A song that notes its steps; a step named in `waits` ends when all of that has happened."""

    def __init__(self, name: str, log: Log, waits: dict[str, set[str]]) -> None:
        self.name, self.log, self.waits = name, log, waits
        self.closed = False

    def _step(self, kind: str) -> None:
        self.log.note(f"{kind} {self.name}")
        self.log.wait_for(self.waits.get(f"{kind} {self.name}", set()))

    def decode(self) -> FakeSong | TrackResult:
        self._step("decode")
        if self.name.startswith("skip"):
            self.close()
            return TrackResult(self.name, "skipped")
        return self

    def separate(self, on_free) -> FakeSong:
        self._step("separate")
        if not self.name.startswith("broken"):
            on_free()
        self._step("add up")
        return self

    def write(self) -> TrackResult:
        self._step("write")
        return TrackResult(self.name, "done")

    def close(self) -> None:
        self.closed = True


PLAIN = Steps(FakeSong.decode, FakeSong.separate, FakeSong.write)


def run(songs, steps=PLAIN, turns=None, stops=None, writers=1, **how):
    return run_pipeline(
        songs,
        steps,
        (lambda song: None) if turns is None else (lambda song: turns.append(song.name)),
        (lambda: None) if stops is None else (lambda: stops.append(True)),
        writers,
        **how,
    )


def songs(names, log, waits=None):
    return [FakeSong(name, log, waits or {}) for name in names]


def steps_where_b(do) -> Steps:
    """The same steps, but `do` instead of separating the song b."""

    def separate(song, on_free):
        return do() if song.name == "b" else song.separate(on_free)

    return Steps(FakeSong.decode, separate, FakeSong.write)


@pytest.fixture(autouse=True)
def _fakes(unchecked):
    """What stands in for a song here is none."""


@pytest.mark.parametrize("elsewhere", [False, True])
def test_results_come_in_order_and_every_song_is_closed(elsewhere):
    log, turns = Log(), []
    works = songs(["a", "skip b", "c"], log)
    results = list(run(works, turns=turns, elsewhere=elsewhere))
    assert [(r.input, r.status) for r in results] == [
        ("a", "done"),
        ("skip b", "skipped"),
        ("c", "done"),
    ]
    assert turns == ["a", "skip b", "c"]
    assert all(work.closed for work in works)
    assert "separate skip b" not in log
    assert "write skip b" not in log
    for name in "ac":
        steps = [entry for entry in log if entry.endswith(f" {name}")]
        kinds = ("decode", "separate", "add up", "write")
        assert steps == [f"{kind} {name}" for kind in kinds]


def test_the_next_is_decoded_and_the_last_written_while_one_is_separated():
    works = songs(["a", "b", "c"], Log(), {"separate b": {"write a", "decode c"}})
    assert [r.status for r in run(works)] == ["done"] * 3


def test_no_more_than_one_song_is_decoded_ahead():
    log = Log()
    line = run(songs(["a", "b", "c", "d"], log, {"separate a": {"go on"}}))
    first = threading.Thread(target=lambda: next(line))
    first.start()
    log.wait_for({"decode b", "separate a"})
    first.join(0.05)
    assert [entry for entry in log if entry.startswith("decode")] == ["decode a", "decode b"]
    log.note("go on")
    first.join(WAIT_S)
    line.close()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_step_that_fails_is_the_result_of_its_song_alone(elsewhere):
    log = Log()
    failing = steps_where_b(lambda: TrackResult("b", "failed", error="no"))
    results = list(run(songs(["a", "b", "c"], log), failing, elsewhere=elsewhere))
    assert [r.status for r in results] == ["done", "failed", "done"]
    assert "write b" not in log


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("error", [Cancelled("enough"), KeyboardInterrupt()])
def test_broken_off_it_stops_the_threads_first_and_closes_what_was_begun(error, elsewhere):
    def fail():
        raise error

    log, stops = Log(), []
    works = songs(["a", "b", "c", "d"], log)
    with pytest.raises(type(error)):
        list(run(works, steps_where_b(fail), stops=stops, elsewhere=elsewhere))
    assert stops
    begun = [work for work in works if f"decode {work.name}" in log]
    assert all(work.closed for work in begun)
    assert len(begun) <= 3 + elsewhere


def test_closed_by_its_reader_it_closes_what_was_begun():
    log, stops = Log(), []
    works = songs(["a", "b", "c", "d"], log)
    line = run(works, stops=stops)
    assert next(line).input == "a"
    line.close()
    assert stops
    assert all(work.closed for work in works if f"decode {work.name}" in log)


def test_an_empty_pipeline_gives_nothing():
    assert list(run([])) == []


def test_several_songs_are_written_at_once_and_come_in_their_order():
    log = Log()
    works = songs("abcd", log, {"write a": {"write b", "write c"}, "write b": {"write c"}})
    results = list(run(works, writers=3))
    assert [result.input for result in results] == [*"abcd"]
    assert all(work.closed for work in works)


def test_a_model_elsewhere_goes_to_the_next_song_as_soon_as_it_is_free():
    log = Log()
    works = songs("abc", log, {"add up a": {"separate b"}, "add up b": {"separate c"}})
    assert [result.input for result in run(works, elsewhere=True)] == [*"abc"]


def test_a_model_elsewhere_is_at_one_song_at_a_time():
    log = Log()
    works = songs(["broken a", "b"], log, {"separate broken a": {"decode b"}})
    assert len(list(run(works, elsewhere=True))) == 2  # a never says that the model is free
    assert log.index("add up broken a") < log.index("separate b")
