"""The page of a study and its ratings over HTTP, for a local network.

    GET  /                            the page
    GET  /audio/NAME                  a sound of the study, with ranges (`web.http_rules`)
    GET  /api/hello                   {"study": id}
    POST /api/raters                  {"background": {…}} -> {"token", "playlist"}
    GET  /api/raters/TOKEN            {"playlist", "ratings"}: to resume
    PUT  /api/raters/TOKEN/ratings    one answer -> 204

Only files that the study lists are served, by name; no path is ever joined from a request. The
Host, the Origin and the headers of answers are those of the web app (`web.security`). Nothing is
logged: the ratings are the log, and addresses of raters are not kept.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.responses import FileResponse, Response

from unbraid.closing import Closing
from unbraid.listening.page import POLICY
from unbraid.listening.store import FILE, Rating, Store
from unbraid.listening.study import Study, load_study
from unbraid.web.http_rules import HttpRules
from unbraid.web.ports import listening_socket
from unbraid.web.refusals import Refusal, answer_refusals, not_found
from unbraid.web.security import Guard, Keys, host_names

_LARGEST_BODY = 16_384
_LONGEST_BACKGROUND = 4_000


class ListeningServer(Closing):
    """Serves one study; bound to its port at once.

    Args:
        folder: of the study.
        host, port: where to listen; port 0 takes a free one.
        allowed_hosts: names under which raters may reach it, besides the loopback's and `host`.
    Raises:
        SettingsError: if the folder holds no study, or the port cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        host: str = "127.0.0.1",
        port: int = 8010,
        allowed_hosts: Collection[str] = (),
    ) -> None:
        self.study = load_study(folder)
        self.public = folder / "public"
        self.store = Store(folder / FILE)
        app = FastAPI(openapi_url=None, redirect_slashes=False)
        app.add_middleware(HttpRules)
        app.add_middleware(
            Guard, names=host_names(host, allowed_hosts), any_address=False, keys=Keys(None)
        )
        answer_refusals(app)
        app.include_router(_routes(self.study, self.public, self.store))
        self._socket = listening_socket(host, port)
        self.server_address = self._socket.getsockname()[:2]
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=30,
                timeout_graceful_shutdown=3,
            )
        )

    @property
    def url(self) -> str:
        """Where the page is."""
        host, port = self.server_address
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/"

    def serve_forever(self) -> None:
        """Answer until `shutdown`, or Ctrl-C."""
        self._server.run(sockets=[self._socket])

    def shutdown(self) -> None:
        """Ask `serve_forever` to return; from any thread."""
        self._server.should_exit = True

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()


async def _small_body(request: Request) -> dict[str, Any]:
    """The body of a request: a small JSON object."""
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or int(length) > _LARGEST_BODY:
        raise Refusal(413, "too_large", "The body is small and states its length.")
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Refusal(415, "not_json", "The body is application/json.")
    try:
        content = json.loads(await request.body())
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise Refusal(400, "not_json", "The body is a JSON object.")
    return content


_Body = Annotated[dict[str, Any], Depends(_small_body)]


def _routes(study: Study, public: Path, store: Store) -> APIRouter:
    router = APIRouter()

    def playlist_of(token: str) -> int:
        playlist = store.playlist(token)
        if playlist is None:
            raise not_found()
        return playlist

    @router.get("/")
    @router.get("/index.html")
    def page() -> FileResponse:
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
        return FileResponse(public / "index.html", headers=headers)

    @router.get("/favicon.ico")
    def icon() -> Response:
        return Response(media_type="image/x-icon")

    @router.get("/audio/{name}")
    def sound(name: str) -> FileResponse:
        if name not in study.sounds:
            raise not_found("This sound does not exist.")
        headers = {"Cache-Control": "private, max-age=86400"}
        return FileResponse(public / "audio" / name, media_type="audio/flac", headers=headers)

    @router.get("/api/hello")
    def hello() -> dict[str, str]:
        return {"study": study.id}

    @router.post("/api/raters", status_code=201)
    def join(body: _Body) -> dict[str, Any]:
        background = body.get("background", {})
        if not isinstance(background, dict) or len(json.dumps(background)) > _LONGEST_BACKGROUND:
            raise Refusal(400, "bad_background", "The background is a small object.")
        token, playlist = store.join(background)
        return {"token": token, "playlist": playlist}

    @router.get("/api/raters/{token}")
    def rater(token: str) -> dict[str, Any]:
        playlist = playlist_of(token)
        return {"playlist": playlist, "ratings": [vars(r) for r in store.ratings(token)]}

    @router.put("/api/raters/{token}/ratings", status_code=204)
    def rate(token: str, body: _Body) -> None:
        store.rate(token, checked_rating(study, playlist_of(token), body))

    return router


def checked_rating(study: Study, playlist: int, content: Mapping[str, Any]) -> Rating:
    """An answer as it came, if it fits the study and the rater's playlist.

    Raises:
        Refusal: 400 if it does not.
    """
    trial = study.trial(playlist, str(content.get("trial")))
    value, listened = content.get("value"), content.get("listened_s", 0)
    low, high = study.settings.scale
    fits = (
        trial is not None
        and content.get("sound") in trial.sounds
        and content.get("question") in study.question_names
        and isinstance(value, int)
        and not isinstance(value, bool)
        and low <= value <= high
        and isinstance(listened, (int, float))
        and 0 <= listened < 86_400
    )
    if not fits or trial is None or value is None:
        raise Refusal(400, "bad_answer", "This answer does not fit the study.")
    return Rating(
        trial.id, str(content["sound"]), str(content["question"]), float(value), float(listened)
    )
