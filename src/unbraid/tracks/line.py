"""Many songs one after the other: the next is read and the last written while one is separated.

    reads song n + 1 ──► separates song n ──► writes song n - 1
    on a thread          where it is asked    on a thread

Each song takes the same steps as alone, so its files are the same. The model is at one song at a
time; a GPU, or a core that a step leaves free, does not wait for the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing

from unbraid.side_by_side import ahead
from unbraid.tracks.result import TrackResult
from unbraid.tracks.track import TrackWork

Step = Callable[[], TrackResult | None]
Guard = Callable[[TrackWork, Step], TrackResult | None]
"""Takes one step of a song; what a step raises becomes the song's result, or ends all."""


def separate_line(
    works: Iterable[TrackWork],
    guard: Guard,
    on_turn: Callable[[TrackWork], None],
    on_stop: Callable[[], None],
) -> Generator[TrackResult, None, None]:
    """The results of many songs, in their order; each as soon as the next one is separated.

    Close it where it may not be taken to its end.

    Args:
        works: the songs, not begun.
        guard: takes each step, on one of three threads.
        on_turn: told of each song before it is separated.
        on_stop: called before the threads are waited for, so that a run that is broken off ends
            soon.
    """
    begun: set[TrackWork] = set()
    try:
        with ExitStack() as threads:
            front = threads.enter_context(closing(ahead(_read(works, guard, begun), depth=1)))
            writer = threads.enter_context(ThreadPoolExecutor(1))
            threads.callback(on_stop)
            last: Future[TrackResult] | None = None
            for work, result in front:
                on_turn(work)
                if result is None:
                    result = guard(work, work.separate)
                following = writer.submit(_write, work, result, guard, begun)
                if last is not None:
                    yield last.result()
                last = following
            if last is not None:
                yield last.result()
    finally:
        for work in begun:
            work.close()


def _read(
    works: Iterable[TrackWork], guard: Guard, begun: set[TrackWork]
) -> Iterator[tuple[TrackWork, TrackResult | None]]:
    for work in works:
        begun.add(work)
        yield work, guard(work, work.read)


def _write(
    work: TrackWork, result: TrackResult | None, guard: Guard, begun: set[TrackWork]
) -> TrackResult:
    if result is None:
        result = guard(work, work.write)
    work.close()
    begun.discard(work)
    assert result is not None  # writing gives one
    return result
