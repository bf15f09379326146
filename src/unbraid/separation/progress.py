"""Progress events and cancelling. The library reports; only its caller prints."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from unbraid.errors import Cancelled


@dataclass(frozen=True)
class Progress:
    """How far a job has come.

    Attributes:
        stage: what is being done, in one word: "separate" while the model runs.
        fraction: of the stage's work, 0 to 1, never falling.
        seconds_left: of the stage, at the pace so far; None before anything is known.
    """

    stage: str
    fraction: float
    seconds_left: float | None


class CancelToken:
    """A flag that one thread sets and a job in another thread checks between its steps.

    Args:
        above: another one, which stops this job, too.

    >>> token = CancelToken()
    >>> token.cancel()
    >>> token.cancelled
    True
    """

    def __init__(self, above: CancelToken | None = None) -> None:
        self._event = threading.Event()
        self._above = above

    def cancel(self) -> None:
        """Ask the job to stop at its next step."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        return self._event.is_set() or (self._above is not None and self._above.cancelled)

    def check(self) -> None:
        """Raise `Cancelled` if `cancel` was called."""
        if self.cancelled:
            raise Cancelled("cancelled")


class Work:
    """A known amount of work, counted down: tells the caller, and stops when the caller asks.

    Args:
        total: all the work, in any unit.
        stage: the stage named in each `Progress`.
        on_progress: called at the start and after each step, on the thread that does the work.
        cancel: looked at before each step.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        total: int,
        stage: str,
        on_progress: Callable[[Progress], None] | None = None,
        cancel: CancelToken | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total = total
        self._stage = stage
        self._on_progress = on_progress
        self._cancel = cancel
        self._clock = clock
        self._done = 0
        self._begun = 0.0

    def start(self) -> None:
        """Start the clock and report fraction 0."""
        self._begun = self._clock()
        self._report()

    def check(self) -> None:
        """Raise `Cancelled` if the caller asked to stop."""
        if self._cancel is not None:
            self._cancel.check()

    def advance(self, amount: int) -> None:
        """Count `amount` as done, and report."""
        self._done += amount
        self._report()

    def _report(self) -> None:
        if self._on_progress is None:
            return
        fraction = self._done / self._total if self._total else 1.0
        seconds_left = None
        if self._done:
            seconds_left = (self._clock() - self._begun) / self._done * (self._total - self._done)
        self._on_progress(Progress(self._stage, fraction, seconds_left))
