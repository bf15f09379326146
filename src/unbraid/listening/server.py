"""The page of a study and its ratings over HTTP, for a local network; nothing but the stdlib.

    GET  /                            the page
    GET  /audio/NAME                  a sound of the study, with ranges
    GET  /api/hello                   {"study": id}
    POST /api/raters                  {"background": {…}} -> {"token", "playlist"}
    GET  /api/raters/TOKEN            {"playlist", "ratings"}: to resume
    PUT  /api/raters/TOKEN/ratings    one answer -> 204

Only files that the study lists are served, by name; no path is ever joined from a request. Requests
with a Host that is not ours, or an Origin that is not the Host, are refused, so that no page from
elsewhere can read or rate.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from unbraid.listening.store import FILE, Rating, Store
from unbraid.listening.study import Study, load_study
from unbraid.version import __version__

_LARGEST_BODY = 16_384
_LONGEST_BACKGROUND = 4_000
_TOKEN = re.compile(r"/api/raters/([A-Za-z0-9_-]{20,40})(/ratings)?")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class ListeningServer(ThreadingHTTPServer):
    """Serves one study.

    Args:
        folder: of the study.
        host, port: where to listen; port 0 takes a free one.
        allowed_hosts: names under which raters may reach it, besides the loopback's and `host`.
    """

    daemon_threads = True

    def __init__(
        self,
        folder: Path,
        host: str = "127.0.0.1",
        port: int = 8010,
        allowed_hosts: Collection[str] = (),
    ) -> None:
        self.study: Study = load_study(folder)
        self.public = folder / "public"
        self.store = Store(folder / FILE)
        self.page = (self.public / "index.html").read_bytes()
        super().__init__((host, port), _Handler)
        self.names = {"127.0.0.1", "localhost", "[::1]", host.lower()} | {
            name.lower() for name in allowed_hosts
        }

    @property
    def url(self) -> str:
        """Where the page is."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away in the middle is nothing to tell."""


class _Refused(Exception):
    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: ListeningServer
    protocol_version = "HTTP/1.1"
    server_version = f"unbraid/{__version__}"
    sys_version = ""
    timeout = 30

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_HEAD(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def do_PUT(self) -> None:
        self._answer(self._put)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the ratings are the log, and addresses of raters are not kept."""

    def _answer(self, method: Any) -> None:
        try:
            self._check_sender()
            method()
        except _Refused as refusal:
            self.close_connection = True  # a body that was not read would be the next request
            self._send_json({"error": str(refusal)}, refusal.status)

    def _check_sender(self) -> None:
        host = (self.headers.get("Host") or "").lower()
        if re.sub(r":\d+$", "", host) not in self.server.names:
            raise _Refused(HTTPStatus.MISDIRECTED_REQUEST, f"no site of the name {host!r} is here")
        origin = self.headers.get("Origin")
        if origin is not None and origin.lower().partition("://")[2] != host:
            raise _Refused(HTTPStatus.FORBIDDEN, "requests come from the page itself")

    def _get(self) -> None:
        path = self.path.partition("?")[0]
        if path in ("/", "/index.html"):
            self._send(self.server.page, "text/html; charset=utf-8")
        elif path == "/favicon.ico":
            self._send(b"", "image/x-icon")
        elif path == "/api/hello":
            self._send_json({"study": self.server.study.id})
        elif path.startswith("/audio/"):
            self._send_audio(path.removeprefix("/audio/"))
        else:
            token, playlist = self._rater(path, "")
            ratings = [vars(rating) for rating in self.server.store.ratings(token)]
            self._send_json({"playlist": playlist, "ratings": ratings})

    def _post(self) -> None:
        if self.path != "/api/raters":
            raise _Refused(HTTPStatus.NOT_FOUND, "there is nothing here")
        background = self._body().get("background", {})
        if not isinstance(background, dict) or len(json.dumps(background)) > _LONGEST_BACKGROUND:
            raise _Refused(HTTPStatus.BAD_REQUEST, "background is a small object")
        token, playlist = self.server.store.join(background)
        self._send_json({"token": token, "playlist": playlist}, HTTPStatus.CREATED)

    def _put(self) -> None:
        token, playlist = self._rater(self.path, "/ratings")
        self.server.store.rate(token, checked_rating(self.server.study, playlist, self._body()))
        self._send(b"", None, HTTPStatus.NO_CONTENT)

    def _rater(self, path: str, rest: str) -> tuple[str, int]:
        match = _TOKEN.fullmatch(path)
        playlist = self.server.store.playlist(match[1]) if match else None
        if match is None or playlist is None or (match[2] or "") != rest:
            raise _Refused(HTTPStatus.NOT_FOUND, "there is nothing here")
        return match[1], playlist

    def _body(self) -> dict[str, Any]:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _LARGEST_BODY:
            raise _Refused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is small and has a length"
            )
        if self.headers.get_content_type() != "application/json":
            raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body is application/json")
        try:
            content = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            raise _Refused(HTTPStatus.BAD_REQUEST, "the body is no JSON") from None
        if not isinstance(content, dict):
            raise _Refused(HTTPStatus.BAD_REQUEST, "the body is a JSON object")
        return content

    def _send_audio(self, name: str) -> None:
        if name not in self.server.study.sounds:
            raise _Refused(HTTPStatus.NOT_FOUND, "there is no such sound")
        data = (self.server.public / "audio" / name).read_bytes()
        match = _RANGE.fullmatch(self.headers.get("Range", "").strip())
        if match is None or not (match[1] or match[2]):
            self._send(data, "audio/flac", extra={"Accept-Ranges": "bytes"}, cached=True)
            return
        first = int(match[1]) if match[1] else max(0, len(data) - int(match[2]))
        last = min(int(match[2]), len(data) - 1) if match[1] and match[2] else len(data) - 1
        if first > last:
            raise _Refused(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "beyond the end")
        where = {"Content-Range": f"bytes {first}-{last}/{len(data)}", "Accept-Ranges": "bytes"}
        piece = data[first : last + 1]
        self._send(piece, "audio/flac", HTTPStatus.PARTIAL_CONTENT, where, cached=True)

    def _send_json(self, content: Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK) -> None:
        self._send(json.dumps(content).encode(), "application/json", status)

    def _send(
        self,
        body: bytes,
        kind: str | None,
        status: HTTPStatus = HTTPStatus.OK,
        extra: Mapping[str, str] | None = None,
        *,
        cached: bool = False,
    ) -> None:
        self.send_response(status)
        if kind is not None:
            self.send_header("Content-Type", kind)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "private, max-age=86400" if cached else "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Frame-Options", "DENY")
        for name, value in (extra or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def checked_rating(study: Study, playlist: int, content: Mapping[str, Any]) -> Rating:
    """An answer as it came, if it fits the study and the rater's playlist."""
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
        raise _Refused(HTTPStatus.BAD_REQUEST, "this answer does not fit the study")
    return Rating(
        trial.id, str(content["sound"]), str(content["question"]), float(value), float(listened)
    )
