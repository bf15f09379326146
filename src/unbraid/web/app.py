"""The routes of the web app: each reads its request, asks the service, and answers."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated

from fastapi import Body, FastAPI, Query, Request
from starlette.responses import FileResponse, Response, StreamingResponse

from unbraid.audio.formats import BIT_DEPTHS, FORMATS
from unbraid.tracks.names import safe_name
from unbraid.version import __version__
from unbraid.web.answers import (
    ERRORS,
    FORM,
    Health,
    JobList,
    JobView,
    LimitsView,
    ModelView,
    ServerSettings,
    file_answer,
)
from unbraid.web.archive import stream_zip
from unbraid.web.http_rules import HttpRules, is_head, is_known
from unbraid.web.jobs import STATUSES, Job
from unbraid.web.mix import parse_gains, render_mix
from unbraid.web.pages import add_pages
from unbraid.web.pcm import ORIGINAL, as_wav
from unbraid.web.refusals import Refusal, answer_refusals
from unbraid.web.security import COOKIE, Guard
from unbraid.web.service import Service, not_ready
from unbraid.web.storage import known_suffix
from unbraid.web.upload import receive_upload

_MEDIA = {
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
}
_LARGEST = 2**53  # whole numbers that JavaScript represents exactly


def make_app(service: Service, names: frozenset[str], any_address: bool) -> FastAPI:
    """The app.

    Args:
        service: not started; it starts and ends with the app.
        names, any_address: see `Guard`.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.hub.attach()
        service.start()
        yield
        service.stop()

    app = FastAPI(
        title="unbraid",
        version=__version__,
        description="Songs in, stems out. Errors are {error: {code, message}}.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(HttpRules)
    app.add_middleware(Guard, names=names, any_address=any_address, keys=service.keys)
    answer_refusals(app)
    _add_server(app, service)
    _add_jobs(app, service)
    _add_events(app, service)
    _add_sound(app, service)
    _add_downloads(app, service)
    add_pages(app)
    return app


def _add_server(app: FastAPI, service: Service) -> None:
    @app.get("/healthz")
    async def health() -> Health:
        """Whether the server is up, and what its workers do."""
        return Health("ok", __version__, service.workers.states())

    @app.get("/api/settings")
    async def settings() -> ServerSettings:
        """What a song may be separated with, and what this server takes."""
        limits = service.limits
        return ServerSettings(
            version=__version__,
            models=[
                ModelView(m.name, m.description, m.stems, m.licence, m.default)
                for m in service.models.values()
            ],
            formats=FORMATS,
            bit_depths=BIT_DEPTHS,
            limits=LimitsView(limits.upload_bytes, limits.seconds, limits.queue),
            needs_key=service.keys.needed,
        )

    @app.post("/api/login", status_code=204, responses=ERRORS)
    async def login(key: Annotated[str, Body(embed=True, max_length=1000)]) -> Response:
        """Exchange the key for a cookie."""
        response = Response(status_code=204)
        if service.keys.needed:
            service.keys.login(key)
            response.set_cookie(
                COOKIE,
                service.keys.cookie(),
                max_age=31_536_000,
                path=None,  # only below this address, wherever a proxy has put it
                httponly=True,
                samesite="strict",
            )
        return response


def _add_jobs(app: FastAPI, service: Service) -> None:
    @app.post("/api/jobs", status_code=201, openapi_extra=FORM, responses=ERRORS)
    async def create(request: Request, response: Response) -> JobView:
        """Upload a song and queue it."""
        service.check_room()
        path = service.storage.arriving()
        upload = await receive_upload(request, path, service.limits, service.storage.free_bytes)
        job = service.create(upload, known_suffix(upload.name))
        response.headers["Location"] = f"jobs/{job.id}"  # relative to this address
        return service.show(job)

    @app.get("/api/jobs", responses=ERRORS)
    async def find(
        query: Annotated[str, Query(max_length=200, description="part of the name")] = "",
        status: Annotated[str, Query(max_length=100, description="separated by commas")] = "",
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        offset: Annotated[int, Query(ge=0, le=_LARGEST)] = 0,
    ) -> JobList:
        """Songs by name and status, newest first."""
        statuses = [name for name in status.split(",") if name]
        if not set(statuses) <= set(STATUSES):
            raise Refusal(422, "bad_status", f"A status is one of {', '.join(STATUSES)}.")
        jobs, total = service.store.find(query, statuses, limit, offset)
        return JobList([service.show(job) for job in jobs], total)

    @app.get("/api/jobs/{id}", responses=ERRORS)
    async def get(id: str) -> JobView:
        """One song."""
        return service.show(service.job(id))

    @app.delete("/api/jobs/{id}", status_code=204, responses=ERRORS)
    def delete(id: str) -> Response:
        """Delete a song and all its files; it is stopped first."""
        service.delete(id)
        return Response(status_code=204)

    @app.post("/api/jobs/{id}/cancel", responses=ERRORS)
    def cancel(id: str) -> JobView:
        """Stop a song that is queued or running."""
        return service.show(service.cancel(id))

    @app.post("/api/jobs/{id}/retry", responses=ERRORS)
    def retry(id: str) -> JobView:
        """Try a song again that failed or was stopped."""
        return service.show(service.retry(id))

    @app.post("/api/jobs/{id}/full", status_code=201, responses=ERRORS)
    def full(id: str) -> JobView:
        """Separate the whole song of a preview."""
        return service.show(service.create_full(id))


def _add_events(app: FastAPI, service: Service) -> None:
    @app.get(
        "/api/events",
        responses=ERRORS | file_answer("text/event-stream"),
        response_class=StreamingResponse,
    )
    async def all_events() -> StreamingResponse:
        """Changes of all songs, as server-sent events: job, deleted."""
        return _news(service, None)

    @app.get(
        "/api/jobs/{id}/events",
        responses=ERRORS | file_answer("text/event-stream"),
        response_class=StreamingResponse,
    )
    async def job_events(id: str) -> StreamingResponse:
        """Changes of one song, its state first, until it has ended."""
        service.job(id)
        return _news(service, id)


def _news(service: Service, id: str | None) -> StreamingResponse:
    listener = service.hub.listen(id)
    if id is not None:
        listener.note(id, "job")
    return StreamingResponse(
        service.hub.stream(listener, service.show_id),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )


def _add_sound(app: FastAPI, service: Service) -> None:
    @app.get(
        "/api/jobs/{id}/stems/{part}",
        responses=ERRORS | file_answer(*_MEDIA.values(), "application/octet-stream"),
        response_class=FileResponse,
    )
    def stem(request: Request, id: str, part: str, download: bool = False) -> Response:
        """The file of a part, or `original`; ranges are supported."""
        job = service.job(id)
        path = service.part_file(job, part)
        is_upload = part == ORIGINAL
        name = job.name if is_upload else _file_name(job, part, path.suffix)
        response = FileResponse(
            path,
            media_type="application/octet-stream" if is_upload else _MEDIA[path.suffix[1:]],
            filename=name if download or is_upload else None,
            stat_result=path.stat(),
            headers={"Cache-Control": "private, no-cache"},
        )
        if is_known(response.headers["etag"], request.headers.get("if-none-match")):
            return Response(status_code=304, headers={"ETag": response.headers["etag"]})
        return response

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
        samples, rate = service.samples(service.job(id), part, start, count)
        return Response(as_wav(samples, rate), media_type="audio/wav")


def _add_downloads(app: FastAPI, service: Service) -> None:
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
    ) -> Response:
        """The sum of the parts, each with its gain."""
        job = service.job(id)
        if format not in FORMATS:
            raise Refusal(422, "bad_format", f"A format is one of {', '.join(FORMATS)}.")
        if job.status != "succeeded":
            raise not_ready()
        chosen = parse_gains(gains, job.facts.parts)
        files = {service.part_sound(job, part): gain for part, gain in chosen.items()}
        attached = _attached(_file_name(job, "mix", f".{format}"))
        if is_head(request.scope):  # nothing is rendered for its length alone
            return Response(media_type=_MEDIA[format], headers=attached)
        target = service.storage.arriving().with_suffix(f".{format}")
        render_mix(files, target, format, job.facts.bit_depth)
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
        """All parts in one zip."""
        job = service.job(id)
        if job.status != "succeeded":
            raise not_ready()
        paths = [(part, service.part_file(job, part)) for part in job.facts.parts]
        files = {_file_name(job, part, path.suffix): path for part, path in paths}
        name = f"{_bare_name(job)} (stems).zip"
        return StreamingResponse(
            stream_zip(files), media_type="application/zip", headers=_attached(name)
        )


def _once(path: Path) -> Iterator[bytes]:
    """The bytes of a file, which is then deleted, even if the client leaves early."""
    with path.open("rb") as file:
        with suppress(OSError):  # Windows does not remove an open file; the next start does
            path.unlink()
        while piece := file.read(1 << 18):
            yield piece


def _bare_name(job: Job) -> str:
    return safe_name(os.path.splitext(job.name)[0] or "song", 150)  # noqa: PTH122


def _file_name(job: Job, part: str, suffix: str) -> str:
    preview = " (preview)" if job.settings.preview else ""
    return f"{_bare_name(job)}{preview} - {part}{suffix}"


def _attached(name: str) -> dict[str, str]:
    quoted = FileResponse("", filename=name).headers["content-disposition"]
    return {"Content-Disposition": quoted}
