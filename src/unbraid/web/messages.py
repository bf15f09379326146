"""What the processes of the web app say to each other: a dataclass a message, a line of JSON each.

server -> worker    Order, Cancel
worker -> server    Ready, Progress, Learned, Ended
worker -> reader    ReadRequest
reader -> worker    ReadProgress, Learned, Refused
server -> reporter  ReportRequest
reporter -> server  ReadProgress, Learned, Refused
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from unbraid.web.choices import JobSettings

Stage = Literal["reading", "separating", "writing"]
End = Literal["succeeded", "failed", "canceled"]


@dataclass(frozen=True)
class SongFacts:
    """What is known of a song so far; None or empty where something is not known.

    Attributes:
        parts: names of the files to be: stems, and perhaps a complement or the residual.
        stems: those of `parts` that the model separates, in its order.
        bit_depth: of the files; None for lossy ones.
        samples, sample_rate, channels: of the song as it is separated.
        seconds_audio: its length.
        loudness_lufs: integrated loudness (BS.1770).
        tempo_bpm, key: where they are clear.
        preview_start_s, seconds_whole: of a preview: where it begins, and the length of the song.
        null_test_db, gain_db, notes, seconds_wall: see `TrackResult`.
        title, artist, album: its tags, safe to show.
        has_cover: whether its folder has a picture of its cover.
    """

    parts: tuple[str, ...] = ()
    stems: tuple[str, ...] = ()
    bit_depth: str | None = None
    samples: int | None = None
    sample_rate: int | None = None
    channels: int | None = None
    seconds_audio: float | None = None
    loudness_lufs: float | None = None
    tempo_bpm: float | None = None
    key: str | None = None
    preview_start_s: float | None = None
    seconds_whole: float | None = None
    null_test_db: float | None = None
    gain_db: float | None = None
    notes: tuple[str, ...] = ()
    seconds_wall: float | None = None
    title: str | None = None
    artist: str | None = None
    album: str | None = None
    has_cover: bool | None = None

    def known(self) -> dict[str, Any]:
        """Only what is known, as plain values."""
        return {name: value for name, value in asdict(self).items() if value not in (None, ())}

    def with_more(self, more: SongFacts) -> SongFacts:
        """These facts and `more`, which counts where both know something."""
        return replace(self, **more.known())

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> SongFacts:
        """From what `known` gave and JSON kept; names of other versions are ignored."""
        names = {field.name for field in fields(cls)}
        return cls(**{name: _frozen(v) for name, v in values.items() if name in names})


@dataclass(frozen=True)
class Order:
    """Separate this song.

    Attributes:
        id: of the job.
        model: name or path.
        settings: how.
        path: the upload.
        song: folder of the song.
        most_s, free_bytes, read_s, read_bytes: see `Limits`.
    """

    id: str
    model: str
    settings: JobSettings
    path: str
    song: str
    most_s: float
    free_bytes: int
    read_s: float
    read_bytes: int


@dataclass(frozen=True)
class Cancel:
    """Stop this job."""

    id: str


@dataclass(frozen=True)
class Ready:
    """The worker has loaded its model.

    Attributes:
        device: where it computes.
        problem: why it could not load the model; the worker still takes orders.
    """

    device: str
    problem: str | None = None


@dataclass(frozen=True)
class Progress:
    """How far a job has come.

    Attributes:
        id: of the job.
        stage: what is being done.
        progress: 0 to 1, of the whole job.
        seconds_left: an estimate.
        samples_ready: samples of the stems that can be heard already.
    """

    id: str
    stage: Stage
    progress: float
    seconds_left: float | None = None
    samples_ready: int = 0


@dataclass(frozen=True)
class Learned:
    """Something new is known of a song.

    Attributes:
        facts: what.
        id: of the job; empty in what a reader says, which reads one song only.
    """

    facts: SongFacts
    id: str = ""


@dataclass(frozen=True)
class Ended:
    """A job has ended; `error` says in one sentence why it failed."""

    id: str
    status: End
    error: str | None = None


@dataclass(frozen=True)
class ReadRequest:
    """Read this song.

    Attributes:
        path: the upload.
        song: folder of the song.
        format, bit_depth: of the stems to be.
        preview_s: length of the excerpt to cut out; None for the whole song.
        most_s: longer songs are refused.
        free_bytes: disk that must stay free.
        most_bytes, most_cpu_s: memory and time of the reader.
    """

    path: str
    song: str
    format: str
    bit_depth: str | None
    preview_s: float | None
    most_s: float
    free_bytes: int
    most_bytes: int
    most_cpu_s: float


@dataclass(frozen=True)
class ReportRequest:
    """Write the report of a separated song.

    Attributes:
        path: what was separated.
        song: folder of the song.
        title: of the song.
        facts, settings: of the job.
        model: name or path, to separate a few excerpts again; None if it is not on this machine.
        device, threads: see `Separator`.
    """

    path: str
    song: str
    title: str
    facts: SongFacts
    settings: JobSettings
    model: str | None
    device: str
    threads: int | None


@dataclass(frozen=True)
class ReadProgress:
    """How far reading, or a report, has come, 0 to 1."""

    fraction: float


@dataclass(frozen=True)
class Refused:
    """The file is not a song that can be separated, or reported on; one sentence says why."""

    reason: str


Message = (
    Order
    | Cancel
    | Ready
    | Progress
    | Learned
    | Ended
    | ReadRequest
    | ReportRequest
    | ReadProgress
    | Refused
)

_KINDS: dict[str, type[Message]] = {
    "order": Order,
    "cancel": Cancel,
    "ready": Ready,
    "progress": Progress,
    "learned": Learned,
    "ended": Ended,
    "read": ReadRequest,
    "report": ReportRequest,
    "read progress": ReadProgress,
    "refused": Refused,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def to_line(message: Message) -> str:
    """The message as one line of JSON, with its end.

    >>> to_line(Cancel("a1"))
    '{"kind": "cancel", "id": "a1"}\\n'
    """
    return json.dumps({"kind": _NAMES[type(message)], **asdict(message)}) + "\n"


def from_line(line: str) -> Message:
    """The message of a line.

    Raises:
        ValueError, TypeError, KeyError: if it is not a line that `to_line` made.
    """
    values = json.loads(line)
    kind = _KINDS[values.pop("kind")]
    if "facts" in values:
        values["facts"] = SongFacts.from_plain(values["facts"])
    if "settings" in values:
        values["settings"] = JobSettings.from_row(values["settings"])
    return kind(**values)


def _frozen(value: Any) -> Any:
    """JSON has lists where the dataclasses have tuples."""
    return tuple(value) if isinstance(value, list) else value
