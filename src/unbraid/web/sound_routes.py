"""The routes of sound and files: parts, samples, mixes, downloads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Query, Request
from starlette.responses import FileResponse, Response, StreamingResponse

from unbraid.audio.formats import FORMATS
from unbraid.tracks.safe_names import safe_name
from unbraid.web.answers import ERRORS, file_answer
from unbraid.web.archive import stream_zip, unlike, zip_size
from unbraid.web.clicks import Clicks
from unbraid.web.covers import COVER, cover_tags
from unbraid.web.http_rules import is_head, is_known
from unbraid.web.job import Job
from unbraid.web.mix import parse_gains, render_mix
from unbraid.web.music import read_music
from unbraid.web.parts import not_ready, part_file, part_sound, samples_of
from unbraid.web.pcm import ORIGINAL, as_wav
from unbraid.web.refusals import Refusal, not_found
from unbraid.web.service import Service
from unbraid.web.shown import split_suffix
from unbraid.words import counted

_MEDIA = {
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
}
_LARGEST = 2**53  # whole numbers that JavaScript represents exactly
_MOST_ZIPPED = 200
_ASK_AGAIN = {"Cache-Control": "private, no-cache"}


def add_sound(app: FastAPI, service: Service) -> None:
    """Files and sound of the parts, whole or in pieces."""

    @app.get(
        "/api/jobs/{id}/stems/{part}",
        responses=ERRORS | file_answer(*_MEDIA.values(), "application/octet-stream"),
        response_class=FileResponse,
    )
    def stem(request: Request, id: str, part: str, download: bool = False) -> Response:
        """The file of a part, or `original`; ranges are supported."""
        job = service.job(id)
        path = part_file(service.storage, job, part)
        is_upload = part == ORIGINAL
        name = safe_name(job.name) if is_upload else _file_name(job, part, path.suffix)
        response = FileResponse(
            path,
            media_type="application/octet-stream" if is_upload else _MEDIA[path.suffix[1:]],
            filename=name if download or is_upload else None,
            stat_result=path.stat(),
            headers=_ASK_AGAIN,
        )
        return _unless_known(request, response)

    @app.get(
        "/api/jobs/{id}/cover",
        responses=ERRORS | file_answer("image/jpeg"),
        response_class=FileResponse,
    )
    def cover(request: Request, id: str) -> Response:
        """The cover in the uploaded file, as a JPEG of at most 512 pixels each way."""
        path = service.storage.song(service.job(id).id) / COVER
        if not path.is_file():
            raise not_found("This song has no cover.")
        response = FileResponse(
            path, media_type="image/jpeg", stat_result=path.stat(), headers=_ASK_AGAIN
        )
        return _unless_known(request, response)

    @app.get("/api/jobs/{id}/peaks", responses=ERRORS)
    def peaks(id: str) -> FileResponse:
        """Peaks, from which waveforms are drawn."""
        path = service.storage.song(service.job(id).id) / "peaks.json"
        if not path.is_file():
            raise not_ready()
        return FileResponse(path, media_type="application/json")

    @app.get(
        "/api/jobs/{id}/pcm/{part}",
        responses=ERRORS | file_answer("audio/wav"),
        response_class=Response,
    )
    def pcm(
        id: str,
        part: str,
        start: Annotated[int, Query(ge=0, le=_LARGEST)],
        count: Annotated[int, Query(ge=1, le=_LARGEST)],
    ) -> Response:
        """Some samples of a part as 16-bit wav, at most 30 s."""
        samples, rate = samples_of(service.storage, service.job(id), part, start, count)
        return Response(as_wav(samples, rate), media_type="audio/wav")


def add_downloads(app: FastAPI, service: Service) -> None:
    """Mixes and archives to download."""

    @app.get(
        "/api/jobs/{id}/mix",
        responses=ERRORS | file_answer(*_MEDIA.values()),
        response_class=Response,
    )
    def mix(
        request: Request,
        id: str,
        gains: Annotated[str, Query(max_length=1000, description="such as drums:1,bass:0.5")],
        format: Annotated[str, Query(json_schema_extra={"enum": list(FORMATS)})] = "wav",
        click: Annotated[float, Query(ge=0, le=1, description="gain of a metronome")] = 0.0,
    ) -> Response:
        """The sum of the parts, each with its gain, and a metronome if wanted."""
        job = service.job(id)
        if format not in FORMATS:
            raise Refusal(422, "bad_format", f"A format is one of {', '.join(FORMATS)}.")
        if job.status != "succeeded":
            raise not_ready()
        chosen = parse_gains(gains, job.facts.parts)
        files = {part_sound(service.storage, job, part): gain for part, gain in chosen.items()}
        attached = _attached(_file_name(job, "mix", f".{format}"))
        if is_head(request.scope):  # nothing is rendered for its length alone
            return Response(media_type=_MEDIA[format], headers=attached)
        target = service.storage.arriving().with_suffix(f".{format}")
        tags = cover_tags(service.storage.song(job.id), next(iter(files)))
        song = service.storage.song(job.id)
        clicks = Clicks(read_music(song), click) if click else None
        render_mix(files, target, format, job.facts.bit_depth, tags, clicks)
        size = target.stat().st_size
        return StreamingResponse(
            _once(target),
            media_type=_MEDIA[format],
            headers={
                "Content-Length": str(size),
                **attached,
            },
        )

    @app.get(
        "/api/jobs/{id}/zip",
        responses=ERRORS | file_answer("application/zip"),
        response_class=StreamingResponse,
    )
    def archive(id: str) -> StreamingResponse:
        """All parts of a song in one zip."""
        job = service.job(id)
        return _zip(f"{_bare_name(job)} (stems).zip", _files(service, job))

    @app.get(
        "/api/zip",
        responses=ERRORS | file_answer("application/zip"),
        response_class=StreamingResponse,
    )
    def songs(
        ids: Annotated[str, Query(max_length=21 * _MOST_ZIPPED, description="separated by commas")],
    ) -> StreamingResponse:
        """All parts of up to 200 songs in one zip, a folder for each."""
        files: dict[str, Path] = {}
        folders: list[str] = []
        for id in dict.fromkeys(ids.split(",")):
            job = service.job(id)
            folders.append(unlike(_bare_name(job), folders))
            for name, path in _files(service, job).items():
                files[f"{folders[-1]}/{name}"] = path
        return _zip(f"{counted(len(folders), 'song')} (stems).zip", files)


def _files(service: Service, job: Job) -> dict[str, Path]:
    """Name to file of all parts of a song."""
    if job.status != "succeeded":
        raise not_ready()
    paths = [(part, part_file(service.storage, job, part)) for part in job.facts.parts]
    return {_file_name(job, part, path.suffix): path for part, path in paths}


def _zip(name: str, files: dict[str, Path]) -> StreamingResponse:
    size = {"Content-Length": str(zip_size(files))}
    return StreamingResponse(
        stream_zip(files), media_type="application/zip", headers=size | _attached(name)
    )


def _unless_known(request: Request, response: FileResponse) -> Response:
    """304 where the client has that file already."""
    etag = response.headers["etag"]
    if is_known(etag, request.headers.get("if-none-match")):
        return Response(status_code=304, headers={"ETag": etag})
    return response


def _once(path: Path) -> Iterator[bytes]:
    """The bytes of a file, which is then deleted, even if the client leaves early."""
    with path.open("rb") as file:
        with suppress(OSError):  # Windows does not remove an open file; the next start does
            path.unlink()
        while piece := file.read(1 << 18):
            yield piece


def _bare_name(job: Job) -> str:
    return safe_name(split_suffix(job.name)[0], 150)


def _file_name(job: Job, part: str, suffix: str) -> str:
    preview = " (preview)" if job.settings.preview else ""
    return f"{_bare_name(job)}{preview} - {part}{suffix}"


def _attached(name: str) -> dict[str, str]:
    quoted = FileResponse("", filename=name).headers["content-disposition"]
    return {"Content-Disposition": quoted}
