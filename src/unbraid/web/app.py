"""The routes of the web app: each reads its request, asks the service, and answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Body, FastAPI
from starlette.responses import Response

from unbraid.audio.formats import BIT_DEPTHS, FORMATS
from unbraid.version import __version__
from unbraid.web.answers import ERRORS, Health, LimitsView, ModelView, ServerSettings
from unbraid.web.bodies import ShortBodies
from unbraid.web.http_rules import HttpRules
from unbraid.web.job_routes import add_events, add_jobs, add_reports
from unbraid.web.model_routes import add_models
from unbraid.web.music_routes import add_music
from unbraid.web.pages import add_pages
from unbraid.web.refusals import answer_refusals
from unbraid.web.security import COOKIE, Guard
from unbraid.web.service import Service
from unbraid.web.sound_routes import add_downloads, add_sound


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
    app.add_middleware(ShortBodies)
    app.add_middleware(Guard, names=names, any_address=any_address, keys=service.keys)
    answer_refusals(app)
    _add_server(app, service)
    add_models(app, service)
    add_jobs(app, service)
    add_reports(app, service)
    add_events(app, service)
    add_sound(app, service)
    add_music(app, service)
    add_downloads(app, service)
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
