"""Many songs one after the other: the next is read and the last written while one is separated.

    reads song n + 1 ──► separates song n ──► writes song n - 1, and more where cores are free
    on a thread          where it is asked    on threads

Each song takes the same steps as alone, so its files are the same. The model is at one song at a
time; a GPU, or a core that a step leaves free, does not wait for the disk. A GPU does not wait for
the processor either, to add up what came of a song's last segments: with `elsewhere` a song is
separated on a thread of its own, and the next one begins when the model is free.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from threading import Event

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
    writers: int | None = None,
    *,
    elsewhere: bool = False,
) -> Generator[TrackResult, None, None]:
    """The results of many songs, in their order, none before the next song is separated.

    Close it where it may not be taken to its end.

    Args:
        works: the songs, not begun.
        guard: takes each step, on one of several threads.
        on_turn: told of each song before it is separated.
        on_stop: called before the threads are waited for, so that a run that is broken off ends
            soon.
        writers: songs that may be written at once; None for one, and one more for every four cores
            beyond two, up to four: a fast GPU separates songs faster than one thread writes them.
        elsewhere: whether the model leaves the processor free.
    """
    writers = writers or min(4, 1 + max(0, (os.cpu_count() or 1) - 2) // 4)
    begun: set[TrackWork] = set()
    try:
        with ExitStack() as threads:
            front = threads.enter_context(closing(ahead(_read(works, guard, begun), depth=1)))
            pool = threads.enter_context(ThreadPoolExecutor(writers + elsewhere))
            threads.callback(on_stop)
            written: deque[Future[TrackResult]] = deque()
            for work, result in front:
                on_turn(work)
                if result is None and elsewhere:
                    free = Event()
                    written.append(pool.submit(_finish, work, guard, begun, free.set))
                    free.wait()
                else:
                    result = result or guard(work, work.separate)
                    written.append(pool.submit(_write, work, result, guard, begun))
                while len(written) > writers or (len(written) > 1 and written[0].done()):
                    yield written.popleft().result()
            while written:
                yield written.popleft().result()
    finally:
        for work in begun:
            work.close()


def _read(
    works: Iterable[TrackWork], guard: Guard, begun: set[TrackWork]
) -> Iterator[tuple[TrackWork, TrackResult | None]]:
    for work in works:
        begun.add(work)
        yield work, guard(work, work.read)


def _finish(
    work: TrackWork, guard: Guard, begun: set[TrackWork], on_free: Callable[[], None]
) -> TrackResult:
    def separate() -> None:
        work.separate(on_free)

    try:
        result = guard(work, separate)
    finally:
        on_free()  # whatever went wrong
    return _write(work, result, guard, begun)


def _write(
    work: TrackWork, result: TrackResult | None, guard: Guard, begun: set[TrackWork]
) -> TrackResult:
    if result is None:
        result = guard(work, work.write)
    work.close()
    begun.discard(work)
    assert result is not None  # writing gives one
    return result
