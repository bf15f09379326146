"""Made-up requests to the HTTP API: none finds a mistake of the server."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")

sys.path.insert(0, str(Path(__file__).parents[1] / "web"))
from starlette.testclient import TestClient
from web_songs import LIMITS, MODELS, RATE, as_file, noise, separated

from fuzz.hunt import KEPT, SECONDS, SEED
from fuzz.mutate import mutated
from unbraid.web.app import make_app
from unbraid.web.security import host_names
from unbraid.web.service import Service
from unbraid.web.storage import Storage

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(0)]

METHODS = ["GET", "GET", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
TEXTS = ["", "0", "1", "-1", "9" * 30, "1e400", "nan", "true", "drums", "original", "drums:1",
         "drums:nan", "../..", "%2e%2e%2f", "a\x00b", "ü☃", "<script>", "'\";--", " " * 300, "wav",
         "x" * 5000, "succeeded", "bytes=0-", "bytes=5-2", "bytes=-0", "bytes=0-0,2-3,9-",
         "*", "W/\"x\"", "2**53", "\u202e", "null", "[]", "{}"]  # fmt: skip
QUERY = ["start", "count", "gains", "format", "query", "status", "limit", "offset", "download", "x"]
HEADERS = ["range", "if-range", "if-none-match", "content-type", "content-length", "origin",
           "authorization", "cookie", "sec-fetch-site", "accept", "transfer-encoding"]  # fmt: skip
JSONS = [{"key": "x"}, [], "x", None, {"key": 1}, {"a": {"b": [1] * 99}}]
FIELDS = ["file", "model", "stems", "format", "bit_depth", "residual", "preview", "shifts", "x"]
BOUNDARY = "a-boundary"
FORM = b"""--a-boundary\r
Content-Disposition: form-data; name="stems"\r
\r
drums,vocals\r
--a-boundary\r
Content-Disposition: form-data; name="file"; filename="song.wav"\r
Content-Type: audio/wav\r
\r
%b\r
--a-boundary--\r
"""
REQUESTS = 300  # with one service


class Maker:
    """Makes up requests from the routes that there are, and a song that is there."""

    def __init__(self, paths: list[str], id: str, song: bytes, seed: int) -> None:
        self._paths, self._id, self._song = paths, id, song
        self._rng = np.random.default_rng(seed)

    def chance(self) -> float:
        return float(self._rng.random())

    def one(self, things: list[str]) -> str:
        return things[int(self._rng.integers(len(things)))]

    def some(self, names: list[str], most: int) -> dict[str, str]:
        return {self.one(names): self.one(TEXTS) for _ in range(int(self._rng.integers(most + 1)))}

    def request(self) -> dict[str, object]:
        path = self.one(self._paths)
        path = path.replace("{id}", self._id if self._rng.random() < 0.7 else self.one(TEXTS))
        path = path.replace("{part}", self.one(["drums", "original", self.one(TEXTS)]))
        made: dict[str, object] = {
            "method": self.one(METHODS),
            "url": path.replace("\x00", "%00") or "/",
            "params": self.some(QUERY, 4),
            "headers": {
                key: text.encode("utf-8")[:4000]
                for key, text in self.some(HEADERS, 2).items()
                if "\x00" not in text
            },
        }
        kind = self._rng.random()
        if kind < 0.1:
            name, content = self.one(["a.wav", "../x", "", *TEXTS]), self._song
            if self._rng.random() < 0.5:
                content = self._rng.bytes(int(self._rng.integers(3000)))
            made["files"] = {self.one(FIELDS[:2]): (name, content)}
            made["data"] = self.some(FIELDS, 5)
        elif kind < 0.2:
            made.update(self._upload())
        elif kind < 0.3:
            made["json"] = JSONS[int(self._rng.integers(len(JSONS)))]
        elif kind < 0.4:
            made["content"] = self._rng.bytes(int(self._rng.integers(2000)))
        return made

    def _upload(self) -> dict[str, object]:
        """A form with a song; in one of two, something in it is broken."""
        content = FORM % self._song
        if self._rng.random() < 0.5:
            content = mutated(content, [FORM], self._rng)
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        return {"method": "POST", "url": "/api/jobs", "content": content, "headers": headers}


def mistake(request: dict[str, object], answer: Any) -> bool:
    """Whether the server itself failed, or refused without a sentence."""
    if answer.status_code >= 500:
        return True
    if request["method"] == "HEAD" or answer.status_code < 400:
        return False
    is_json = "application/json" in answer.headers.get("content-type", "")
    return is_json and "error" not in answer.json()


def ask(service: Service, song: bytes, seed: int, end: float) -> tuple[int, list[str]]:
    """Send `REQUESTS` requests to a service with one song; how many, and those that went wrong."""
    app = make_app(service, host_names("127.0.0.1"), any_address=False)
    paths = [*app.openapi()["paths"], "/", "/songs/{id}", "/static/{part}", "/docs", "/{part}"]
    paths = [path for path in paths if not path.endswith("events")]  # they have no end
    maker, findings, tried = Maker(paths, separated(service).id, song, seed), [], 0
    with TestClient(app, "http://localhost", raise_server_exceptions=False) as client:
        while tried < REQUESTS and time.monotonic() < end:
            request = maker.request()
            tried += 1
            try:
                answer = client.request(**request)  # type: ignore[arg-type]
            except (ValueError, TypeError, UnicodeError):
                continue  # the client itself refuses to send it
            if mistake(request, answer):
                findings.append(f"{answer.status_code} to {request!r}"[:2000])
            if maker.chance() < 0.1:
                service.store.claim()  # as a worker would
    return tried, findings


def test_no_made_up_request_finds_a_mistake_of_the_server(tmp_path):
    song = as_file(tmp_path / "noise.wav", noise(RATE // 10))
    findings, tried, end, seed = [], 0, time.monotonic() + SECONDS, SEED * 10_000
    while time.monotonic() < end:
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            service = Service(Storage(Path(folder)), LIMITS, MODELS, devices=())
            count, wrong = ask(service, song, seed, end)
        tried, findings, seed = tried + count, [*findings, *wrong], seed + 1
    print(f"api: {tried} requests, {len(findings)} findings")
    if findings:
        KEPT.mkdir(parents=True, exist_ok=True)
        (KEPT / "api.txt").write_text("\n".join(findings), encoding="utf-8")
    assert findings == []
