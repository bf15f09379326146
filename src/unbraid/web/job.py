"""A song in the queue or the library, as the table of jobs has it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from unbraid.web.choices import JobSettings
from unbraid.web.messages import End, SongFacts, Stage
from unbraid.web.shown import split_suffix

Status = Literal["queued", "running"] | End
FINAL: tuple[End, ...] = ("succeeded", "failed", "canceled")
STATUSES: tuple[Status, ...] = ("queued", "running", *FINAL)


@dataclass(frozen=True)
class Live:
    """How far a running job has come; in memory only."""

    stage: Stage = "reading"
    progress: float = 0.0
    seconds_left: float | None = None
    samples_ready: int = 0


@dataclass(frozen=True)
class Job:
    """A song in the queue or library.

    Attributes:
        number: order of arrival.
        place: in the queue, where it was moved; None where `number` counts.
        id: its name in addresses and on disk.
        name: the name of the uploaded file; shown, never used as a path.
        status: one of `STATUSES`.
        suffix: of the upload, one of the known ones, or "".
        settings: how it is separated.
        facts: what is known so far about the song and its stems.
        error: why it failed, in one sentence.
        created, started, finished: seconds since 1970.
        crashes: how many workers died while separating it.
        bytes: disk space it uses.
        demo: whether it is the demo song.
        renamed: whether its name was typed here, and not that of a file.
        live: progress while it runs.
    """

    number: int
    id: str
    name: str
    status: Status
    suffix: str
    settings: JobSettings
    facts: SongFacts
    error: str | None
    created: float
    started: float | None
    finished: float | None
    crashes: int
    bytes: int
    demo: bool
    renamed: bool
    place: int | None = None
    live: Live = field(default_factory=Live)

    @property
    def is_final(self) -> bool:
        """Whether it has ended, whatever its end was."""
        return self.status in FINAL

    @property
    def title(self) -> str:
        """What it is called on pages: as it was renamed, or its title, or its file."""
        return (None if self.renamed else self.facts.title) or split_suffix(self.name)[0]
