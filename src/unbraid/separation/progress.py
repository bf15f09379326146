"""Progress events and cancelling. The library reports; only its caller prints."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

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
        """Whether `cancel` was called, here or on the token above."""
        return self._event.is_set() or (self._above is not None and self._above.cancelled)

    def check(self) -> None:
        """Raise `Cancelled` if `cancel` was called."""
        if self.cancelled:
            raise Cancelled("cancelled")


W = TypeVar("W", bound="Watch")


@dataclass(frozen=True)
class Watch:
    """Follows a job: receives its progress, and can stop it.

    Attributes:
        on_progress: called with `Progress`, on the thread that does the work.
        cancel: looked at between steps.
        on_free: called, on any thread, when the model has done all that it has to: another song may
            have it then.
    """

    on_progress: Callable[[Progress], None] | None = None
    cancel: CancelToken | None = None
    on_free: Callable[[], None] | None = None

    def tell(self, progress: Progress) -> None:
        """Report progress."""
        if self.on_progress is not None:
            self.on_progress(progress)

    def check(self) -> None:
        """Raise `Cancelled` if the job is to stop."""
        if self.cancel is not None:
            self.cancel.check()

    def within(self: W, first: float, last: float) -> W:
        """The watch of one part of the job, whose fraction 0 to 1 is `first` to `last` of it."""
        whole = self.on_progress
        if whole is None:
            return self

        def on_progress(progress: Progress) -> None:
            fraction = first + (last - first) * progress.fraction
            whole(replace(progress, fraction=fraction))

        return replace(self, on_progress=on_progress)


UNWATCHED = Watch()


class Work:
    """Counts down a known amount of work: reports progress, and stops when asked.

    Args:
        total: all the work, in any unit.
        stage: the stage named in each `Progress`.
        watch: receives progress at the start and after each step; may stop before each step.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        total: int,
        stage: str,
        watch: Watch = UNWATCHED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total = total
        self._stage = stage
        self._watch = watch
        self._clock = clock
        self._done = 0
        self._begun = 0.0

    def start(self) -> None:
        """Start the clock and report fraction 0."""
        self._begun = self._clock()
        self._report()

    def check(self) -> None:
        """Raise `Cancelled` if the caller asked to stop."""
        self._watch.check()

    def advance(self, amount: int) -> None:
        """Count `amount` as done, and report."""
        self._done += amount
        self._report()

    def _report(self) -> None:
        fraction = self._done / self._total if self._total else 1.0
        seconds_left = None
        if self._done:
            seconds_left = (self._clock() - self._begun) / self._done * (self._total - self._done)
        self._watch.tell(Progress(self._stage, fraction, seconds_left))
