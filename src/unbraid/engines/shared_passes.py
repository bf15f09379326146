"""Passes on a GPU that several songs share, so that none of them runs half empty.

    song 1   ████████ ████████ ███           segments in passes of eight, song by song: the last
    song 2   ████████ ████                   pass of each is not full
    shared   ████████ ████████ ███+█████ ███+·····      the rest is silence

What comes out for a segment must not depend on what else is in its pass. Each row of a pass is
computed from itself alone; but how a GPU adds up, and so the last bits, depends on how many rows
there are. So passes over whole segments always have the same number of rows. Segments of any other
length (the end of a song) are not shared: their passes are what they are without other songs.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from threading import Condition, Event, Lock
from typing import Any

from unbraid.engines.around import Around
from unbraid.models.base import SeparationModel
from unbraid.models.compose.namespace import namespace

AT_ONCE = 3
"""Songs that should have the model at once, to fill its passes."""
_PATIENCE = 0.25
"""How long a pass that is not full waits, in times of the last pass."""
_LONGEST_WAIT_S = 0.1


class _Call:
    """One song's call: rows that wait, and estimates of those that are done."""

    def __init__(self, mixture: Any) -> None:
        self.mixture = mixture
        self.begun = 0
        self.estimates: list[Any] = []
        self.error: BaseException | None = None
        self.done = Event()

    @property
    def waiting(self) -> int:
        return len(self.mixture) - self.begun

    def end(self, error: BaseException | None = None) -> None:
        """All estimates are there, or none will be."""
        self.error = error
        self.begun = len(self.mixture)
        self.done.set()


class SharedPasses(Around):
    """A model for several threads at once, a song on each, that runs full passes.

    The thread that comes first runs a pass, with rows of those that wait; the others wait for it.
    A pass that is not full is put off for a moment: the other songs' next segments are coming.

    Args:
        model: the model.
        rows: segments in one pass.
        samples: length of a whole segment as the model sees it; other lengths run alone.
    """

    def __init__(self, model: SeparationModel, rows: int, samples: int) -> None:
        super().__init__(model)
        self._rows, self._samples = rows, samples
        self._waiting: list[_Call] = []
        self._guard, self._turn = Condition(), Lock()
        self._patience_s = 0.0
        self._narrowed: dict[frozenset[str], SharedPasses] = {}

    def __call__(self, mixture: Any) -> Any:
        """(b c t) -> (b s c t)."""
        if mixture.shape[-1] != self._samples:
            with self._turn:
                return self.model(mixture)
        call = _Call(mixture)
        with self._guard:
            self._waiting.append(call)
            self._guard.notify_all()
        while not call.done.is_set():
            with self._turn:
                if not call.done.is_set():
                    self._run()
        if call.error is not None:
            raise call.error
        parts = call.estimates
        return parts[0] if len(parts) == 1 else namespace(parts[0]).concatenate(parts)

    def _run(self) -> None:
        """One pass with the first rows that wait."""
        with self._guard:
            self._guard.wait_for(self._is_full, self._patience_s)
            taken = self._take()
        begun = time.monotonic()
        rows = [call.mixture[first:last] for call, first, last in taken]
        try:
            estimates = self._pass(rows)
        except BaseException as error:
            self._fail([call for call, _, _ in taken], error)
            return
        self._patience_s = min(_LONGEST_WAIT_S, _PATIENCE * (time.monotonic() - begun))
        place = 0
        for call, first, last in taken:
            call.estimates.append(estimates[place : place + last - first])
            place += last - first
            if last == len(call.mixture):
                call.end()

    def _is_full(self) -> bool:
        return sum(call.waiting for call in self._waiting) >= self._rows

    def _take(self) -> list[tuple[_Call, int, int]]:
        """Rows for a pass: calls, and the first and last row of each."""
        taken, room = [], self._rows
        while room and self._waiting:
            call = self._waiting[0]
            count = min(room, call.waiting)
            taken.append((call, call.begun, call.begun + count))
            call.begun += count
            room -= count
            if not call.waiting:
                self._waiting.pop(0)
        return taken

    def _pass(self, rows: list[Any]) -> Any:
        """Rows that are missing are silent; their estimates are left out."""
        given = sum(map(len, rows))
        silence = [rows[0][:1] * 0] * (self._rows - given)
        together = [*rows, *silence]
        mixture = together[0] if len(together) == 1 else namespace(rows[0]).concatenate(together)
        return self.model(mixture)[:given]

    def _fail(self, calls: list[_Call], error: BaseException) -> None:
        """The songs of a pass that went wrong; if they were several, each gets one of its own."""
        with self._guard:
            self._waiting = [call for call in self._waiting if call not in calls]
        for call in calls:
            if len(calls) == 1:
                call.end(error)
                continue
            try:
                parts = range(0, len(call.mixture), self._rows)
                found = [self._pass([call.mixture[n : n + self._rows]]) for n in parts]
            except BaseException as own:
                call.end(own)
            else:
                call.estimates = found
                call.end()

    def take_back(self, estimates: Any) -> None:
        """Estimates are parts of those of a pass, which others may still read."""

    def narrow(self, stems: Collection[str]) -> SeparationModel:
        """The narrowed model, the same one for all songs."""
        wanted = frozenset(stems)
        with self._guard:
            if wanted not in self._narrowed:
                narrow = self.model.narrow(stems)
                same = narrow is self.model
                self._narrowed[wanted] = (
                    self if same else SharedPasses(narrow, self._rows, self._samples)
                )
            return self._narrowed[wanted]


def alone(model: SeparationModel) -> SeparationModel:
    """The model itself, for passes that are not to be filled up."""
    return model.model if isinstance(model, SharedPasses) else model
