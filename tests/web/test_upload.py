"""What comes over the wire, and what is not let in."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import pytest
from starlette.requests import ClientDisconnect, Request
from web_songs import LIMITS

from unbraid.web.refusals import Refusal
from unbraid.web.upload import receive_upload

BOUNDARY = "xyz"
HEAD = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n'
    "Content-Type: audio/mpeg\r\n\r\n"
).encode()
END = f"\r\n--{BOUNDARY}--\r\n".encode()
SOUND = bytes(range(256)) * 40


def field(name: str, value: str) -> bytes:
    return (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
    ).encode()


def upload(tmp_path, pieces, limits=LIMITS, headers=None, free=1 << 40, pause=0.0, more=False):
    """Send pieces of a body to `receive_upload`; a None is a client that goes away.

    With `more` the body never ends.
    """
    path = tmp_path / "arriving"
    queue = list(pieces)

    async def receive():
        await asyncio.sleep(pause)
        if not queue:
            await asyncio.sleep(60)
        piece = queue.pop(0)
        if piece is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": bool(queue) or more}

    given = headers or {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in given.items()]
    request = Request({"type": "http", "method": "POST", "path": "/", "headers": raw}, receive)
    try:
        return asyncio.run(receive_upload(request, path, limits, lambda: free))
    except BaseException:
        assert not path.exists()
        raise


def refused(tmp_path, pieces, *args, **kwargs) -> tuple[int, str]:
    with pytest.raises(Refusal) as caught:
        upload(tmp_path, pieces, *args, **kwargs)
    assert caught.value.message.endswith(".") and "\n" not in caught.value.message
    return caught.value.status, caught.value.code


@pytest.mark.parametrize("size", [1, 7, 64, 1 << 20])
def test_a_song_arrives_as_it_is_however_it_is_cut(tmp_path, size):
    body = field("format", "flac") + HEAD + SOUND + b"\r\n" + field("shifts", "1")[:-2] + END
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    got = upload(tmp_path, pieces)
    assert got.path.read_bytes() == SOUND and got.size == len(SOUND)
    assert (got.name, got.fields) == ("a.mp3", {"format": "flac", "shifts": "1"})


def test_songs_that_are_too_large_are_cut_off(tmp_path):
    limits = replace(LIMITS, upload_bytes=100_000)
    endless = [HEAD] + [b"\x01" * 60_000] * 3
    assert refused(tmp_path, endless, limits, more=True) == (413, "too_large")
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    big = {**headers, "content-length": "99999999999"}
    assert refused(tmp_path, [HEAD + END], limits, big) == (413, "too_large")
    fields = [field("a", "x" * 900)] * 250
    assert refused(tmp_path, fields, limits)[0] in (400, 413)


def test_uploads_that_stall_or_crawl_are_given_up(tmp_path, monkeypatch):
    assert refused(tmp_path, [HEAD], replace(LIMITS, idle_s=0.05), more=True) == (408, "too_slow")
    crawling = [HEAD] + [b"\x01"] * 50
    short = replace(LIMITS, upload_s=0.2)
    assert refused(tmp_path, crawling, short, pause=0.02) == (408, "too_slow")
    monkeypatch.setattr("unbraid.web.upload._GRACE_S", 0.1)
    assert refused(tmp_path, crawling, pause=0.02) == (408, "too_slow")


def test_a_client_that_goes_away_leaves_nothing(tmp_path):
    with pytest.raises(ClientDisconnect):
        upload(tmp_path, [HEAD + SOUND, None])
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_noticed_before_it_is_full(tmp_path):
    assert refused(tmp_path, [HEAD + SOUND + END], free=0) == (507, "disk_full")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"garbage",
        HEAD,
        HEAD + SOUND,
        HEAD + SOUND + b"\r\n--" + BOUNDARY.encode(),
        HEAD[:40] + END,
        f"--{BOUNDARY}\r\n{'x' * 9000}: 1\r\n\r\n".encode() + END,
        f"--{BOUNDARY}\r\n".encode() + b"a: b\r\n" * 2000 + b"\r\n" + END,
    ],
)
def test_forms_that_are_cut_off_or_malformed_are_refused(tmp_path, body):
    assert refused(tmp_path, [body]) == (400, "bad_form")


def test_a_malformed_form_leaves_no_line_of_the_parser(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # those of pytest, too
    assert refused(tmp_path, [b"no boundary at all\r\n"]) == (400, "bad_form")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 415),
        ("", 415),
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=", 400),
        ("multipart/form-data; boundary=" + "x" * 5000, 400),
        ("multipart/mixed; boundary=xyz", 415),
    ],
)
def test_other_kinds_of_bodies_are_refused(tmp_path, kind, status):
    assert refused(tmp_path, [HEAD + SOUND + END], headers={"content-type": kind})[0] == status


def test_forms_have_one_song_and_few_short_fields(tmp_path):
    assert refused(tmp_path, [HEAD + SOUND + b"\r\n" + HEAD + SOUND + END]) == (400, "one_song")
    assert refused(tmp_path, [field("format", "wav") + END[2:]]) == (422, "no_file")
    assert refused(tmp_path, [HEAD + END]) == (422, "empty")
    assert refused(tmp_path, [field("a", "x") * 30 + END[2:]]) == (400, "bad_form")
    assert refused(tmp_path, [field("a", "x" * 2000) + END[2:]]) == (400, "bad_form")
