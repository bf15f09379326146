"""Titles, artists and covers from tags; names that people type."""

from __future__ import annotations

import io
import sqlite3

import av
import numpy as np
import pytest
from web_songs import RATE, as_file, noise, separated

from unbraid.audio.formats import AudioFormat
from unbraid.audio.tags import Tags, read_tags
from unbraid.audio.write import AudioWriter
from unbraid.web import covers
from unbraid.web.choices import JobSettings
from unbraid.web.covers import COVER, SIDE, small_jpeg
from unbraid.web.jobs import JobStore
from unbraid.web.messages import ReadRequest, SongFacts
from unbraid.web.reader import read_song

SONG = {"title": "AC/DC\u202e night", "artist": "Ann & Bob", "album": "<b>Live</b>"}


def picture(codec: str, pix_fmt: str, width: int, height: int) -> bytes:
    """A gradient as an image file."""
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = width, height, pix_fmt, 1
    ramp = np.linspace(0, 255, width, dtype=np.uint8)
    pixels = np.broadcast_to(ramp[None, :, None], (height, width, 3)).copy()
    frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(width, height, pix_fmt)
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def size_of(jpeg: bytes) -> tuple[int, int]:
    with av.open(io.BytesIO(jpeg), format="jpeg_pipe") as image:
        return image.streams.video[0].width, image.streams.video[0].height


@pytest.mark.parametrize(
    ("codec", "pix_fmt"),
    [("png", "rgba"), ("png", "gray"), ("mjpeg", "yuvj420p"), ("libwebp", "yuv420p")],
)
def test_a_cover_becomes_a_small_jpeg_of_the_same_picture(codec, pix_fmt):
    small = small_jpeg(picture(codec, pix_fmt, 1200, 600))
    assert small.startswith(b"\xff\xd8\xff") and size_of(small) == (SIDE, SIDE // 2)
    with av.open(io.BytesIO(small), format="jpeg_pipe") as image:
        gray = next(image.decode(video=0)).to_ndarray(format="gray")
    assert np.allclose(gray.mean(axis=0), np.linspace(0, 255, SIDE), atol=6)
    assert size_of(small_jpeg(picture(codec, pix_fmt, 20, 10))) == (20, 10)


@pytest.mark.parametrize(
    "data",
    [
        None,
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"GIF89a<script>alert(1)</script>",
        b"\x89PNG\r\n\x1a\n<html><script>alert(1)</script></html>",
        b"\xff\xd8\xff<html></html>",
        picture("png", "gray", 100, 100)[:90],
    ],
)
def test_what_is_no_picture_that_can_be_shown_is_no_cover(data):
    assert small_jpeg(data) is None


def test_a_picture_of_too_many_pixels_is_no_cover(monkeypatch):
    monkeypatch.setattr(covers, "MOST_PIXELS", 10_000)
    assert small_jpeg(picture("png", "gray", 100, 101)) is None
    assert small_jpeg(picture("png", "gray", 100, 100)) is not None


def test_nothing_of_a_strangers_picture_is_kept_but_its_pixels():
    hostile = picture("mjpeg", "yuvj420p", 64, 64) + b"<script>alert(1)</script>"
    assert b"<script" not in small_jpeg(hostile)


def tagged(path, cover: bytes | None = None) -> bytes:
    tags = Tags(SONG, cover, "image/png" if cover else None)
    with AudioWriter(path, AudioFormat("flac", "16"), RATE, 2, tags=tags) as writer:
        writer.write((noise(RATE).T * 32767).astype(np.int32))
    return path.read_bytes()


def test_a_song_that_is_read_has_its_tags_and_cover(tmp_path):
    path = tmp_path / "original.flac"
    tagged(path, picture("png", "rgb24", 600, 600))
    request = ReadRequest(str(path), str(tmp_path), "wav", None, 0.5, 60.0, 1, 4 << 30, 60)
    facts = read_song(request)
    assert (facts.title, facts.artist) == ("AC/DC night", "Ann & Bob")
    assert (facts.album, facts.has_cover) == ("<b>Live</b>", True)
    assert size_of((tmp_path / COVER).read_bytes()) == (SIDE, SIDE)
    assert read_tags(tmp_path / "excerpt.wav").text["artist"] == "Ann & Bob"  # so stems have it


def test_a_song_without_tags_is_called_as_its_file(client, service):
    job = separated(service, "Mr. Smith.wav")
    shown = client.get(f"/api/jobs/{job.id}").json()
    assert (shown["title"], shown["artist"], shown["has_cover"]) == ("Mr. Smith", None, False)
    assert client.get(f"/api/jobs/{job.id}/cover").status_code == 404


def test_a_cover_is_sent_as_a_jpeg_and_once(client, service):
    job = separated(service)
    jpeg = small_jpeg(picture("png", "rgb24", 9, 9))
    (service.storage.song(job.id) / COVER).write_bytes(jpeg)
    answer = client.get(f"/api/jobs/{job.id}/cover")
    assert answer.content == jpeg and answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-content-type-options"] == "nosniff"
    known = {"If-None-Match": answer.headers["etag"]}
    assert client.get(f"/api/jobs/{job.id}/cover", headers=known).status_code == 304


def test_a_mix_has_the_tags_of_the_stems_and_the_cover(client, service, tmp_path):
    job = separated(service)
    folder = service.storage.song(job.id)
    for stem in job.facts.parts:
        (folder / "stems" / f"{stem}.wav").unlink()
        (folder / "stems" / f"{stem}.flac").write_bytes(tagged(tmp_path / f"{stem}.flac"))
    (folder / COVER).write_bytes(small_jpeg(picture("png", "rgb24", 9, 9)))
    mix = client.get(f"/api/jobs/{job.id}/mix", params={"gains": "drums:1", "format": "mp3"})
    (tmp_path / "mix.mp3").write_bytes(mix.content)
    found = read_tags(tmp_path / "mix.mp3")
    assert found.text["artist"] == "Ann & Bob" and found.cover_type == "image/jpeg"


def rename(client, id: str, name: str):
    return client.patch(f"/api/jobs/{id}", json={"name": name})


def test_a_new_name_is_shown_found_and_used_for_downloads(client, service):
    job = separated(service, "take 3.wav")
    service.store.learn(job.id, SongFacts(title="Untitled", artist="Ann"))
    assert client.get(f"/api/jobs/{job.id}").json()["title"] == "Untitled"
    answer = rename(client, job.id, "  AC/DC: live.wav ")
    assert (answer.json()["title"], answer.json()["name"]) == ("AC/DC: live", "AC/DC: live.wav")
    for part in ("stems/drums?download=1", "stems/original", "mix?gains=drums:1", "zip"):
        header = client.get(f"/api/jobs/{job.id}/{part}").headers["content-disposition"]
        assert "AC_DC" in header and "take" not in header and "%2F" not in header, part
    for words, found in (("ac/dc", 1), ("ann", 1), ("untitled", 1), ("take", 0)):
        assert client.get("/api/jobs", params={"query": words}).json()["total"] == found, words
    service.store.learn(job.id, SongFacts(title="Another"))  # read again
    assert client.get(f"/api/jobs/{job.id}").json()["title"] == "AC/DC: live"


@pytest.mark.parametrize("name", ["", "  ", "..", "\u202e", ".wav", "\r\n"])
def test_what_is_no_name_is_refused(shared_client, shared_service, name):
    job = separated(shared_service, "take 3.wav")
    answer = rename(shared_client, job.id, name)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "bad_name")
    assert shared_service.job(job.id).name == "take 3.wav"
    assert rename(shared_client, "0" * 20, "x").status_code == 404


def test_the_whole_song_of_a_renamed_preview_keeps_the_name(client, tmp_path):
    content = as_file(tmp_path / "a.wav", noise(RATE))
    sent = {"files": {"file": ("a.wav", content)}, "data": {"preview": "true"}}
    preview = client.post("/api/jobs", **sent).json()
    rename(client, preview["id"], "Mine")
    full = client.post(f"/api/jobs/{preview['id']}/full").json()
    assert (full["name"], full["title"]) == ("Mine.wav", "Mine")


def test_the_table_of_an_older_version_is_kept(tmp_path):
    path = tmp_path / "jobs.sqlite3"
    store = JobStore(path)
    store.add("a", "Song.mp3", ".mp3", JobSettings("mini"))
    store.close()
    with sqlite3.connect(path) as old:
        for column in ("renamed", "place"):
            old.execute(f"ALTER TABLE jobs DROP COLUMN {column}")
        old.execute("PRAGMA user_version=1")
    old.close()
    store = JobStore(path)
    assert store.get("a").title == "Song" and not store.get("a").renamed
    store.close()
