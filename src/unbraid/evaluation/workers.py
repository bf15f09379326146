"""Processes that score tracks in parallel. Imports nothing heavy: see `pool.settle`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from unbraid.closing import Closing
from unbraid.errors import EvaluationError
from unbraid.pool import abandon, new_pool

Result = TypeVar("Result")


class Workers(Closing):
    """Runs functions in `count` processes; in this one, at once, if `count` is 1."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool: ProcessPoolExecutor | None = None

    def close(self) -> None:
        """Wait for what has begun."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def abort(self) -> None:
        """End what has begun."""
        if self._pool is not None:
            abandon(self._pool)

    def submit(
        self, function: Callable[..., Result], *arguments: Any, **named: Any
    ) -> Future[Result]:
        """Begin; the function and what it takes and gives must be picklable."""
        if self.count > 1:
            return self._running().submit(function, *arguments, **named)
        future: Future[Result] = Future()
        try:
            future.set_result(function(*arguments, **named))
        except Exception as error:
            future.set_exception(error)
        return future

    def result(self, future: Future[Result]) -> Result:
        """What came of it; raises what it raised.

        Raises:
            EvaluationError: if the process ended before the function did.
        """
        try:
            return future.result()
        except BrokenProcessPool as error:
            self._pool = None
            raise EvaluationError(
                "the process that scored it was ended from outside; is there memory enough? "
                "Try again with fewer --workers"
            ) from error

    def _running(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = new_pool(self.count)
        return self._pool
