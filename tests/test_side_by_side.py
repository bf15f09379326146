"""Reading ahead and writing behind: the same items in the same order, and clean ends."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import pytest

from unbraid.side_by_side import Behind, ahead


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())  # of tests before this one, and of the libraries
    yield
    assert set(threading.enumerate()) <= before


def test_items_come_in_their_order_and_none_is_lost():
    assert list(ahead(iter(range(100)), depth=2)) == list(range(100))
    done = []
    with Behind(done.append, depth=2) as behind:
        for number in range(100):
            behind.push(number)
    assert done == list(range(100))


def test_no_more_is_made_ahead_than_allowed():
    made = []

    def items():
        for number in range(50):
            made.append(number)
            yield number

    for taken, _ in enumerate(ahead(items(), depth=3)):
        time.sleep(0.001)
        assert len(made) <= taken + 1 + 3


def test_what_fails_ahead_fails_in_its_place():
    def items():
        yield 1
        raise OSError("disk")

    taken = []
    with pytest.raises(OSError, match="disk"):
        for item in ahead(items()):
            taken.append(item)
    assert taken == [1]


def test_a_reader_that_is_closed_early_ends_its_thread_and_its_source():
    closed = []

    def items():
        try:
            while True:
                yield 0
        finally:
            closed.append(threading.current_thread() is not threading.main_thread())

    with closing(ahead(items())) as numbers:
        next(numbers)
    assert closed == [True]


def test_what_fails_behind_is_told_and_nobody_waits_forever():
    def fail(number):
        raise OSError("full")

    with pytest.raises(OSError, match="full"), Behind(fail, depth=1) as behind:
        for number in range(100):
            behind.push(number)
    with pytest.raises(OSError, match="full"), Behind(fail, depth=1) as behind:
        behind.push(0)


def test_after_an_interrupt_what_waits_is_dropped():
    done = []

    def slowly(number):
        time.sleep(0.05)
        done.append(number)

    with pytest.raises(KeyboardInterrupt), Behind(slowly, depth=20) as behind:
        for number in range(20):
            behind.push(number)
        raise KeyboardInterrupt
    assert len(done) < 20
