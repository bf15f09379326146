"""The routes of songs: their queue, their library, their events."""

from __future__ import annotations

from typing import Annotated

from fastapi import Body, FastAPI, Query, Request
from starlette.responses import FileResponse, Response, StreamingResponse

from unbraid.web.answers import ERRORS, FORM, JobList, JobView, file_answer
from unbraid.web.job import STATUSES
from unbraid.web.refusals import Refusal
from unbraid.web.reports import page_policy
from unbraid.web.service import Service
from unbraid.web.storage import known_suffix
from unbraid.web.upload import receive_upload

_LARGEST = 2**53  # whole numbers that JavaScript represents exactly


def add_jobs(app: FastAPI, service: Service) -> None:
    """Upload, list, show, change and delete songs."""

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
        query: Annotated[
            str, Query(max_length=200, description="part of name, title, artist or album")
        ] = "",
        status: Annotated[str, Query(max_length=100, description="separated by commas")] = "",
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        offset: Annotated[int, Query(ge=0, le=_LARGEST)] = 0,
    ) -> JobList:
        """Songs by name, tags and status, newest first."""
        statuses = [name for name in status.split(",") if name]
        if not set(statuses) <= set(STATUSES):
            raise Refusal(422, "bad_status", f"A status is one of {', '.join(STATUSES)}.")
        jobs, total = service.store.find(query, statuses, limit, offset)
        return JobList([service.show(job) for job in jobs], total)

    @app.get("/api/jobs/{id}", responses=ERRORS)
    async def get(id: str) -> JobView:
        """One song."""
        return service.show(service.job(id))

    @app.patch("/api/jobs/{id}", responses=ERRORS)
    def rename(id: str, name: Annotated[str, Body(embed=True, max_length=1000)]) -> JobView:
        """Rename a song; it keeps the suffix of its file."""
        return service.show(service.rename(id, name))

    @app.delete("/api/jobs/{id}", status_code=204, responses=ERRORS)
    def delete(id: str) -> Response:
        """Delete a song and all its files; it is stopped first."""
        service.delete(id)
        return Response(status_code=204)

    @app.post("/api/jobs/{id}/move", responses=ERRORS)
    def move(id: str, position: Annotated[int, Body(embed=True, ge=1, le=_LARGEST)]) -> JobView:
        """Move a waiting song to a position in the queue; 1 is next."""
        return service.show(service.move(id, position))

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


def add_reports(app: FastAPI, service: Service) -> None:
    """Making and showing reports."""

    @app.post("/api/jobs/{id}/report", status_code=202, responses=ERRORS)
    def make_report(id: str) -> JobView:
        """Make the report of a song, unless it is there; see `report` of the song."""
        return service.show(service.make_report(id))

    @app.get(
        "/api/jobs/{id}/report",
        responses=ERRORS | file_answer("text/html"),
        response_class=FileResponse,
    )
    def report(id: str) -> FileResponse:
        """The report of a song: one page that holds everything it needs."""
        path = service.reports.file(service.job(id).id)
        if not path.is_file():
            raise Refusal(409, "no_report", "This song has no report yet; POST here makes it.")
        headers = {"Content-Security-Policy": page_policy(), "Cache-Control": "private, no-cache"}
        return FileResponse(path, media_type="text/html; charset=utf-8", headers=headers)


def add_events(app: FastAPI, service: Service) -> None:
    """Changes of songs as server-sent events."""

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
