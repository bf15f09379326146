"""Made-up requests to the HTTP API: none finds a mistake of the server."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi")

sys.path.insert(0, str(Path(__file__).parents[1] / "web"))
from starlette.testclient import TestClient
from web_songs import LIMITS, MODELS, RATE, as_file, noise, separated

from fuzz.hunt import KEPT, SECONDS, SEED
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


class Maker:
    """Makes up requests from the routes that there are, and a song that is there."""

    def __init__(self, paths: list[str], id: str, song: bytes) -> None:
        self._paths, self._id, self._song = paths, id, song
        self._rng = np.random.default_rng(SEED)

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
        if kind < 0.15:
            name, content = self.one(["a.wav", "../x", "", *TEXTS]), self._song
            if self._rng.random() < 0.5:
                content = self._rng.bytes(int(self._rng.integers(3000)))
            made["files"] = {self.one(FIELDS[:2]): (name, content)}
            made["data"] = self.some(FIELDS, 5)
        elif kind < 0.3:
            made["json"] = JSONS[int(self._rng.integers(len(JSONS)))]
        elif kind < 0.4:
            made["content"] = self._rng.bytes(int(self._rng.integers(2000)))
        return made


def test_no_made_up_request_finds_a_mistake_of_the_server(tmp_path):
    service = Service(Storage(tmp_path / "data"), LIMITS, MODELS, devices=())
    app = make_app(service, host_names("127.0.0.1"), any_address=False)
    song = as_file(tmp_path / "noise.wav", noise(RATE // 10))
    paths = [*app.openapi()["paths"], "/", "/songs/{id}", "/static/{part}", "/docs", "/{part}"]
    paths = [path for path in paths if not path.endswith("events")]  # they have no end
    findings, tried, end = [], 0, time.monotonic() + SECONDS
    with TestClient(app, "http://localhost", raise_server_exceptions=False) as client:
        maker = Maker(paths, separated(service).id, song)
        while time.monotonic() < end:
            request = maker.request()
            tried += 1
            try:
                answer = client.request(**request)  # type: ignore[arg-type]
            except (ValueError, TypeError, UnicodeError):
                continue  # the client itself refuses to send it
            if answer.status_code == 201 or service.store.find("", [], 1, 0)[1] == 0:
                maker = Maker(paths, separated(service, f"{tried}.wav").id, song)
                maker._rng = np.random.default_rng((SEED, tried))
            wrong = answer.status_code >= 500
            if request["method"] != "HEAD" and answer.status_code >= 400 and not wrong:
                wrong = "application/json" in answer.headers.get("content-type", "") and (
                    "error" not in answer.json()
                )
            if wrong:
                findings.append(f"{answer.status_code} to {request!r}"[:2000])
    print(f"api: {tried} requests, {len(findings)} findings")
    if findings:
        KEPT.mkdir(parents=True, exist_ok=True)
        (KEPT / "api.txt").write_text("\n".join(findings), encoding="utf-8")
    assert findings == []
