"""What a batch is about: songs, where their stems go, and how."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unbraid.batch.store import is_url
from unbraid.errors import SettingsError
from unbraid.tracks.settings import OutputSettings

LONGEST_PAUSE_S = 600.0


@dataclass(frozen=True)
class BatchRequest:
    """A batch, as every worker gets it; plain values, so that it can be sent to other processes.

    Attributes:
        inputs: files, folders and patterns, or URLs of them.
        out: the output folder, which all workers share, or its URL.
        output: how stems are written.
        separator: arguments of `unbraid.Separator`.
        stream: which audio stream of every song, counted from 1; None for that of players.
        shard: (I, N): only every N-th song, from the I-th on.
        retries: how often a song that failed is tried again.
        first_pause_s: pause before the first retry; each further one is four times as long.
        retry_failed: try songs again that failed for good in an earlier run.
        lease_s: seconds after which the songs of a silent worker are taken over.
        watch: keep looking for new songs until interrupted.
        settle_s: with `watch`, a file is taken when it has looked the same for so long.
        began: seconds since 1970, when the batch was started; what failed before is "earlier".
    Raises:
        SettingsError: for values out of range.
    """

    inputs: tuple[str, ...]
    out: Path | str
    output: OutputSettings = field(default_factory=OutputSettings)
    separator: Mapping[str, Any] = field(default_factory=dict)
    stream: int | None = None
    shard: tuple[int, int] = (1, 1)
    retries: int = 2
    first_pause_s: float = 5.0
    retry_failed: bool = False
    lease_s: float = 60.0
    watch: bool = False
    settle_s: float = 5.0
    began: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        if self.retries < 0:
            raise SettingsError(f"a song is retried 0 times or more, got {self.retries}")
        if not 1 <= self.lease_s <= 86_400:
            raise SettingsError(f"a lease lasts 1 s to 1 day, got {self.lease_s:g} s")
        if "-" in self.inputs:
            raise SettingsError("a batch reads files and folders, not standard input (-)")
        if self.watch and self.has_urls:
            raise SettingsError(
                "--watch looks at folders, not at URLs; run the batch again instead"
            )

    @property
    def has_urls(self) -> bool:
        """Whether songs or output are at URLs."""
        return any(is_url(place) for place in (*self.inputs, self.out))

    @property
    def folder(self) -> Path:
        """The output folder of a batch without URLs."""
        return Path(self.out)

    def pause_s(self, attempt: int) -> float:
        """Seconds to wait after a failed attempt, 1 for the first one.

        >>> [BatchRequest((), Path()).pause_s(attempt) for attempt in (1, 2, 3)]
        [5.0, 20.0, 80.0]
        """
        return min(LONGEST_PAUSE_S, self.first_pause_s * 4.0 ** (attempt - 1))
