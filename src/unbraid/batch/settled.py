"""Which files are still being copied: those that have changed of late, as this process saw."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

Stamp = tuple[int, int]
"""Size and modification time."""


class Settled:
    """Tells files that rest from those that change.

    A file rests when it has looked the same for `rest_s`. Its time is compared with nothing but
    itself: the clock of a file server may be wrong, and a copy may have the time of its original.

    Args:
        rest_s: seconds.
        clock: seconds, for tests.
    """

    def __init__(self, rest_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rest_s, self._clock = rest_s, clock
        self._seen: dict[Path, tuple[Stamp | None, float]] = {}

    def among(self, files: Mapping[Path, Stamp | None]) -> set[Path]:
        """Those of all files that rest; a file without a stamp is not there, and never does."""
        now, before = self._clock(), self._seen
        self._seen = {}
        for path, stamp in files.items():
            known, since = before.get(path, (None, now))
            self._seen[path] = (stamp, since if known == stamp else now)
        return {
            path
            for path, (stamp, since) in self._seen.items()
            if stamp is not None and now - since >= self._rest_s
        }
