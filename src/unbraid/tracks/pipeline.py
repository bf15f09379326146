"""Many songs one after the other: the next is decoded and the last written while one is separated.

    decodes song n + 1 ──► separates song n ──► writes song n - 1, and more where cores are free
    on a thread            on the caller's      on threads

Each song takes the same steps as alone, so its files are the same. The model runs one song at a
time; a GPU, or a core that a step leaves free, does not wait for the disk. A GPU does not wait for
the processor either, to add up what came of a song's last segments: with `elsewhere` a song is
separated on a thread of its own, and the next one begins when the model is free, or, with
`at_once`, earlier: then the passes of a model can hold segments of several songs.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from threading import Lock, Semaphore
from typing import Generic, TypeVar

from unbraid.closing import Closing
from unbraid.side_by_side import ahead
from unbraid.tracks.result import TrackResult

T = TypeVar("T")
D = TypeVar("D", bound=Closing)
S = TypeVar("S", bound=Closing)

OnFree = Callable[[], None]


@dataclass(frozen=True)
class Steps(Generic[T, D, S]):
    """The three steps of a song; a `TrackResult` before the last one is its end.

    What they raise ends the pipeline. Closing the decoded song removes what is not finished of it.

    Attributes:
        decode: what stands for the song -> the decoded song.
        separate: the decoded song -> the separated song; calls its second argument, on any thread,
            when another song may have the model.
        write: the separated song -> its result.
    """

    decode: Callable[[T], D | TrackResult]
    separate: Callable[[D, OnFree], S | TrackResult]
    write: Callable[[S], TrackResult]


def run_pipeline(
    songs: Iterable[T],
    steps: Steps[T, D, S],
    on_turn: Callable[[T], None],
    on_stop: Callable[[], None],
    writers: int | None = None,
    *,
    elsewhere: bool = False,
    at_once: int = 1,
) -> Generator[TrackResult, None, None]:
    """The results of many songs, in their order, none before the next song is separated.

    Close it where it may not be taken to its end.

    Args:
        songs: what stands for each song.
        steps: what is done with it, on several threads.
        on_turn: called with each song before it is separated.
        on_stop: called before the threads are waited for, so that a run that is broken off ends
            soon.
        writers: songs that may be written at once; None for one, and one more for every four cores
            beyond two, up to four: a fast GPU separates songs faster than one thread writes them.
        elsewhere: whether the model leaves the processor free.
        at_once: songs that may have the model at the same time, if it is elsewhere.
    """
    writers = writers or min(4, 1 + max(0, (os.cpu_count() or 1) - 2) // 4)
    begun: set[D] = set()
    try:
        with ExitStack() as threads:
            front = threads.enter_context(closing(ahead(_decode(songs, steps, begun), depth=1)))
            threads_elsewhere, most = (
                (at_once, writers + at_once - 1) if elsewhere else (0, writers)
            )
            pool = threads.enter_context(ThreadPoolExecutor(writers + threads_elsewhere))
            room = Semaphore(at_once)
            threads.callback(on_stop)
            written: deque[Future[TrackResult]] = deque()
            for song, decoded in front:
                if elsewhere and not isinstance(decoded, TrackResult):
                    room.acquire()
                on_turn(song)
                if isinstance(decoded, TrackResult):
                    written.append(_ended(decoded))
                elif elsewhere:
                    on_free = _Once(room.release)
                    written.append(pool.submit(_finish, decoded, steps, begun, on_free))
                else:
                    separated = steps.separate(decoded, _nobody_waits)
                    written.append(pool.submit(_write, decoded, separated, steps, begun))
                while len(written) > most or (len(written) > 1 and written[0].done()):
                    yield written.popleft().result()
            while written:
                yield written.popleft().result()
    finally:
        for unfinished in begun:
            unfinished.close()


def _decode(
    songs: Iterable[T], steps: Steps[T, D, S], begun: set[D]
) -> Iterator[tuple[T, D | TrackResult]]:
    for song in songs:
        decoded = steps.decode(song)
        if not isinstance(decoded, TrackResult):
            begun.add(decoded)
        yield song, decoded


def _finish(decoded: D, steps: Steps[T, D, S], begun: set[D], on_free: OnFree) -> TrackResult:
    try:
        separated = steps.separate(decoded, on_free)
    finally:
        on_free()  # whatever went wrong
    return _write(decoded, separated, steps, begun)


def _write(
    decoded: D, separated: S | TrackResult, steps: Steps[T, D, S], begun: set[D]
) -> TrackResult:
    result = separated if isinstance(separated, TrackResult) else steps.write(separated)
    decoded.close()
    begun.discard(decoded)
    return result


class _Once:
    """Calls a function the first time that it is called itself, on whichever thread."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._function, self._lock = function, Lock()
        self._is_done = False

    def __call__(self) -> None:
        with self._lock:
            if not self._is_done:
                self._function()
            self._is_done = True


def _ended(result: TrackResult) -> Future[TrackResult]:
    future: Future[TrackResult] = Future()
    future.set_result(result)
    return future


def _nobody_waits() -> None:
    """The model is free when the step is done."""
