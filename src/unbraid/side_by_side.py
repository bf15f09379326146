"""Work on additional threads: reading ahead, writing behind.

Decoders and encoders release Python's lock while they work, so that the files of a song can be
written at the same time. Queues are short: memory does not grow, and what is done is the same in
the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from queue import Queue, SimpleQueue
from threading import Semaphore, Thread
from typing import Any, Generic, TypeVar

from unbraid.closing import Closing

T = TypeVar("T")


class Downstream(Closing, Generic[T]):
    """Items as they come, taken by `consume` on a separate thread.

    On leaving the block all that was pushed has been consumed. What `consume` raises comes out of a
    later `push`, or of the block; if the block itself fails, what still waits is dropped.

    Args:
        consume: called once, with an iterator of the items in their order.
        depth: items that may wait.

    >>> total = []
    >>> with Downstream(lambda items: total.append(sum(items))) as stream:
    ...     for number in range(4):
    ...         stream.push(number)
    >>> total
    [6]
    """

    def __init__(self, consume: Callable[[Iterator[T]], object], depth: int = 4) -> None:
        self._consume = consume
        self._waiting: Queue[tuple[T] | None] = Queue(depth)
        self._error: BaseException | None = None
        self._dropping = False
        self._thread = Thread(target=self._run, daemon=True)

    def push(self, item: T) -> None:
        """Hand over an item; waits while there are too many."""
        if self._error is not None:
            raise self._error
        self._waiting.put((item,))

    def __enter__(self) -> Downstream[T]:
        self._thread.start()
        return self

    def close(self) -> None:
        """Wait until all is consumed; raises what `consume` raised."""
        self._finish()
        if self._error is not None:
            raise self._error

    def abort(self) -> None:
        """Drop what still waits."""
        self._dropping = True
        self._finish()

    def _finish(self) -> None:
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        items = iter(self._waiting.get, None)
        try:
            self._consume(item for (item,) in items if not self._dropping)
        except BaseException as error:
            self._error = error
        for _ in items:  # so that no `push` waits forever
            pass


class Behind(Downstream[T]):
    """Does `work` with one item after another, on a separate thread.

    Args:
        work: called with each item, in order.
        depth: items that may wait.

    >>> done = []
    >>> with Behind(done.append) as behind:
    ...     for number in range(3):
    ...         behind.push(number)
    >>> done
    [0, 1, 2]
    """

    def __init__(self, work: Callable[[T], object], depth: int = 4) -> None:
        def consume(items: Iterator[T]) -> None:
            for item in items:
                work(item)

        super().__init__(consume, depth)


def ahead(items: Iterable[T], depth: int = 4) -> Generator[T, None, None]:
    """The same items, made on a separate thread, up to `depth` items ahead.

    What `items` raises is raised in its place. Close it (`contextlib.closing`) where it may not be
    taken to its end, and the thread ends with it.

    >>> list(ahead(range(3)))
    [0, 1, 2]
    """
    found: SimpleQueue[tuple[Any, BaseException | None] | None] = SimpleQueue()
    room, stopped = Semaphore(depth), [False]

    def run() -> None:
        try:
            for item in items:
                found.put((item, None))
                room.acquire()
                if stopped[0]:
                    break
            found.put(None)
        except BaseException as error:
            found.put((None, error))
        finally:
            if hasattr(items, "close"):
                items.close()

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        for item, error in iter(found.get, None):
            if error is not None:
                raise error
            yield item
            room.release()
    finally:
        stopped[0] = True
        room.release()
        thread.join()
