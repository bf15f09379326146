"""Threads that share the work of one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any


class Team:
    """So many threads, for as long as a pass lasts.

    Args:
        threads: how many; kernels, which bring their own, get this number.
        pool: does the work that is done in numpy.
    """

    def __init__(self, threads: int, pool: ThreadPoolExecutor) -> None:
        self.threads, self._pool = threads, pool

    def spread(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        """What the function gives for each item, in order."""
        return list(self._pool.map(function, items))

    def by_rows(self, function: Callable[[slice], Any], rows: int, at_once: int) -> None:
        """Call the function with slices of so many rows, which together are all."""
        self.spread(function, [slice(at, at + at_once) for at in range(0, rows, at_once)])


@contextmanager
def team_of(threads: int) -> Iterator[Team]:
    """A team that ends with the block."""
    with ThreadPoolExecutor(threads, "unbraid-masks") as pool:
        yield Team(threads, pool)
