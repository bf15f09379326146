"""HEAD, ranges, tags and endless headers, as RFC 9110 and 6585 have them."""

from __future__ import annotations

import socket
import time
from urllib.parse import urlsplit

import pytest
from real_server import serving
from web_songs import separated

from unbraid.web.covers import COVER


@pytest.fixture(scope="module")
def job(shared_service) -> str:
    id = separated(shared_service).id
    (shared_service.storage.song(id) / COVER).write_bytes(b"\xff\xd8\xff")
    shared_service.reports.file(id).write_text("a report")
    return f"/api/jobs/{id}"


def readable(client, job: str) -> list[str]:
    """Every route that GET reads, filled in."""
    schema = client.get("/openapi.json").json()["paths"]
    query = {
        "pcm": "?start=0&count=100",
        "mix": "?gains=drums:1",
        "api/zip": f"?ids={job.rpartition('/')[2]}",
    }
    found = ["/", "/openapi.json", "/docs", "/favicon.ico", "/songs/x"]
    for path, methods in schema.items():
        if "get" in methods:
            filled = path.replace("/api/jobs/{id}", job).replace("{part}", "drums")
            found.append(filled + next((q for k, q in query.items() if f"/{k}" in path), ""))
    return found


def test_head_answers_on_every_readable_route_as_get_does(shared_client, job):
    paths = readable(shared_client, job)
    assert len(paths) > 12
    for path in paths:
        head = shared_client.head(path)
        assert (head.status_code, head.content) == (200, b""), path
        if path.endswith("events") and "jobs" not in path:
            continue  # its GET has no end
        got = shared_client.get(path)
        assert head.headers["content-type"] == got.headers["content-type"], path
        if "mix" not in path:
            assert head.headers.get("content-length") == got.headers.get("content-length"), path


def test_head_of_what_is_not_there_is_not_there(shared_client, job):
    assert shared_client.head("/api/jobs/none").status_code == 404
    assert shared_client.head(f"{job}/pcm/drums").status_code == 422
    answer = shared_client.head(f"{job}/cancel")
    assert answer.status_code == 405 and answer.headers["allow"] == "POST"
    assert set(shared_client.post("/healthz").headers["allow"].split(", ")) == {"GET", "HEAD"}


def test_a_mix_that_nobody_reads_is_not_made(shared_client, shared_service, job):
    shared_client.head(f"{job}/mix?gains=drums:1")
    assert not [
        *shared_service.storage.root.rglob("*.wav.part*"),
        *shared_service.storage.arriving().parent.glob("*.wav"),
    ]


@pytest.mark.parametrize(
    "ranges",
    [
        "lines=1-2",
        "bytes=5-2",
        "bytes=",
        "bytes=,",
        "bytes=a-b",
        "bytes",
        "bytes=1-2,5-3",
        f"bytes=0-{'9' * 5000}",
    ],
)
def test_a_range_that_means_nothing_is_ignored(shared_client, job, ranges):
    whole = shared_client.get(f"{job}/stems/drums")
    answer = shared_client.get(f"{job}/stems/drums", headers={"Range": ranges})
    assert (answer.status_code, answer.content) == (200, whole.content)


def test_a_range_is_answered_and_one_beyond_the_end_refused(shared_client, job):
    whole = shared_client.get(f"{job}/stems/drums").content
    for ranges, part in (
        ("bytes=0-99", whole[:100]),
        ("BYTES = 100-", whole[100:]),
        ("bytes=-5", whole[-5:]),
        (f"bytes=10-{len(whole) * 2}", whole[10:]),
    ):
        answer = shared_client.get(f"{job}/stems/drums", headers={"Range": ranges})
        assert (answer.status_code, answer.content) == (206, part)
    beyond = shared_client.get(f"{job}/stems/drums", headers={"Range": f"bytes={len(whole)}-"})
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{len(whole)}"
    assert beyond.json()["error"]["code"] == "beyond_end"  # as all errors
    assert beyond.headers["content-length"] == str(len(beyond.content))
    head = shared_client.head(f"{job}/stems/drums", headers={"Range": "bytes=0-9"})
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(whole)))


def test_of_several_ranges_those_beyond_the_end_are_left_out(shared_client, job):
    whole = shared_client.get(f"{job}/stems/drums").content
    size = len(whole)
    for ranges, part in (
        (f"bytes=0-9,{size}-", whole[:10]),
        (f"bytes={size + 5}-{size + 9},-7", whole[-7:]),
        ("bytes=3-5,-0", whole[3:6]),
        ("bytes=,2-4,,", whole[2:5]),
    ):
        answer = shared_client.get(f"{job}/stems/drums", headers={"Range": ranges})
        assert (answer.status_code, answer.content) == (206, part), ranges
        assert answer.headers["content-range"].endswith(f"/{size}")
    several = shared_client.get(f"{job}/stems/drums", headers={"Range": f"bytes=0-1,{size}-,4-5"})
    assert several.status_code == 206
    assert several.headers["content-type"].startswith("multipart/byteranges")
    assert whole[:2] in several.content and whole[4:6] in several.content
    none = shared_client.get(f"{job}/stems/drums", headers={"Range": f"bytes={size}-,-0"})
    assert none.status_code == 416 and none.headers["content-range"] == f"bytes */{size}"


def test_a_tag_is_known_in_a_list_and_weak_too(shared_client, job):
    etag = shared_client.get(f"{job}/stems/drums").headers["etag"]
    for text, status in ((etag, 304), (f'"x", W/{etag}', 304), ("*", 304), ('"x"', 200)):
        answer = shared_client.get(f"{job}/stems/drums", headers={"If-None-Match": text})
        assert answer.status_code == status


def answer_of(url: str, request: bytes) -> bytes:
    """What a server answers to raw bytes, all of them sent first."""
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port), 60) as line:
        line.sendall(request)
        line.settimeout(60)
        pieces = []
        while piece := line.recv(65536):
            pieces.append(piece)
        return b"".join(pieces)


def test_headers_without_end_and_no_request_at_all_are_answered(tmp_path):
    with serving(tmp_path / "data", "--min-free", "1MB") as server:
        start = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
        for size in (200_000, 3_000_000):
            answer = answer_of(server.url, start + b"X-Long: " + b"a" * size + b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 431 ") and b"headers_too_long" in answer
        answer = answer_of(server.url, b"\x16\x03\x01 no http\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400 ") and b"nosniff" in answer.lower()
        began = time.monotonic()
        fine = answer_of(server.url, start + b"Connection: close\r\n\r\n")
        assert fine.startswith(b"HTTP/1.1 200 ") and time.monotonic() - began < 30
