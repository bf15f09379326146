"""The answers of the API: one dataclass each, from which FastAPI makes its description."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal

from unbraid.audio.formats import BIT_DEPTHS, FORMATS
from unbraid.web.choices import LARGEST_OVERLAP, MOST_SHIFTS, JobSettings
from unbraid.web.job import Job
from unbraid.web.messages import End, Stage
from unbraid.web.reports import ReportView


@dataclass(frozen=True)
class JobView:
    """A song as the API shows it.

    Attributes:
        name: of the uploaded file, or as it was renamed, with the suffix of the file.
        title: what pages call it: the name it was given here, or the title in its tags, or the name
            of its file.
        artist, album: from its tags.
        has_cover: whether there is a picture to show.
        position: in the queue, 1 is next.
        parts: known once the song has been read.
        samples_ready: how much of the stems can be heard already.
        bytes: disk space it uses.
        report: how far its report is.
    """

    id: str
    name: str
    title: str
    artist: str | None
    album: str | None
    has_cover: bool
    status: Literal["queued", "running"] | End
    progress: float
    stage: Literal["waiting", "done"] | Stage
    seconds_left: float | None
    position: int | None
    error: str | None
    created: str
    started: str | None
    finished: str | None
    settings: JobSettings
    parts: tuple[str, ...]
    notes: tuple[str, ...]
    samples_ready: int
    seconds_audio: float | None
    sample_rate: int | None
    channels: int | None
    samples: int | None
    loudness_lufs: float | None
    tempo_bpm: float | None
    key: str | None
    null_test_db: float | None
    gain_db: float | None
    preview_start_s: float | None
    seconds_whole: float | None
    seconds_wall: float | None
    bytes: int
    demo: bool
    report: ReportView


@dataclass(frozen=True)
class JobList:
    """A page of the library, and how many songs match in all."""

    jobs: list[JobView]
    total: int


@dataclass(frozen=True)
class ModelView:
    """A model that may be chosen."""

    name: str
    description: str
    stems: tuple[str, ...]
    licence: str
    default: bool


@dataclass(frozen=True)
class LimitsView:
    """What the server takes: bytes of an upload, seconds of a song, songs that wait."""

    upload_bytes: int
    seconds: float
    queue: int


@dataclass(frozen=True)
class ServerSettings:
    """What a song may be separated with, and what this server takes."""

    version: str
    models: list[ModelView]
    formats: tuple[str, ...]
    bit_depths: tuple[str, ...]
    limits: LimitsView
    needs_key: bool


@dataclass(frozen=True)
class Health:
    """The server is up; `workers` is each device and what its worker does."""

    status: Literal["ok"]
    version: str
    workers: dict[str, str]


@dataclass(frozen=True)
class Problem:
    """One word for programs, one sentence for people."""

    code: str
    message: str


@dataclass(frozen=True)
class ErrorAnswer:
    """The answer to a request that was refused."""

    error: Problem


def show_job(job: Job, position: int | None, report: ReportView) -> JobView:
    """A job as the API shows it; `position` is its place in the queue, if it waits."""
    running, done = job.status == "running", job.status == "succeeded"
    facts = job.facts
    return JobView(
        id=job.id,
        name=job.name,
        title=job.title,
        artist=facts.artist,
        album=facts.album,
        has_cover=facts.has_cover is True,
        status=job.status,
        progress=job.live.progress if running else float(done),
        stage="waiting" if job.status == "queued" else job.live.stage if running else "done",
        seconds_left=job.live.seconds_left if running else None,
        position=position,
        error=job.error,
        created=_time(job.created),
        started=None if job.started is None else _time(job.started),
        finished=None if job.finished is None else _time(job.finished),
        settings=job.settings,
        parts=facts.parts if running or done else (),
        notes=facts.notes,
        samples_ready=(facts.samples or 0) if done else job.live.samples_ready,
        seconds_audio=facts.seconds_audio,
        sample_rate=facts.sample_rate,
        channels=facts.channels,
        samples=facts.samples,
        loudness_lufs=facts.loudness_lufs,
        tempo_bpm=facts.tempo_bpm,
        key=facts.key,
        null_test_db=facts.null_test_db,
        gain_db=facts.gain_db,
        preview_start_s=facts.preview_start_s,
        seconds_whole=facts.seconds_whole,
        seconds_wall=facts.seconds_wall,
        bytes=job.bytes,
        demo=job.demo,
        report=report,
    )


def _time(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


_MEANINGS = {
    400: "the request is malformed",
    401: "the key is missing or wrong",
    403: "the request comes from another site",
    404: "there is no such song or part",
    408: "the upload was too slow",
    409: "the song is not in a state for this",
    413: "the file is too large",
    415: "the body is not a form",
    416: "the range lies beyond the end",
    421: "the server does not go by that name",
    422: "a setting or parameter is not possible",
    429: "too much is going on already",
    507: "the disk is full",
}
# One of them names the model and so describes it; the others refer to it. FastAPI makes a validator
# for each model of each route: naming it everywhere took two thirds of the time to make the app.
_SHAPE = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": _SHAPE} for status, text in _MEANINGS.items()
}
ERRORS[422] = {"description": _MEANINGS[422], "model": ErrorAnswer}


def file_answer(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """Answers, besides `ERRORS`, of a route that sends a file of one of these media types."""
    content: dict[str, Any] = {kind: {} for kind in kinds}
    return {
        200: {"description": "the file", "content": content},
        206: {"description": "the requested bytes", "content": content},
    }


_FIELDS = {
    "file": {"type": "string", "format": "binary", "description": "the song"},
    "model": {"type": "string", "description": "one of /api/settings"},
    "stems": {"type": "string", "description": "only these stems, separated by commas"},
    "two_stems": {"type": "string", "description": "this stem and its complement"},
    "format": {"enum": list(FORMATS), "description": "of the files (wav)"},
    "bit_depth": {"enum": list(BIT_DEPTHS), "description": "of wav and flac (the source's)"},
    "shifts": {
        "type": "integer",
        "minimum": 0,
        "maximum": MOST_SHIFTS,
        "description": "averaged shifted runs (0)",
    },
    "overlap": {
        "type": "number",
        "minimum": 0,
        "maximum": LARGEST_OVERLAP,
        "description": "of segments (0.25)",
    },
    "residual": {"type": "boolean", "description": "also a file of the residual"},
    "preview": {"type": "boolean", "description": "only the loudest 20 s of the middle"},
}
FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "required": ["file"], "properties": _FIELDS}
            }
        },
    }
}
