"""Zips of songs: their size is known before they are made."""

from __future__ import annotations

import io
import zipfile

import pytest
from web_songs import STEMS, separated

from unbraid.web.archive import stream_zip, unlike, zip_size


@pytest.mark.parametrize("limit", [None, 0, 100, 5_000, 20_000, 70_000])
def test_the_size_of_a_zip_is_known_also_where_64_bits_are_needed(tmp_path, monkeypatch, limit):
    files = {}
    for number, size in enumerate((0, 1, 4_999, 20_001, 300_000)):
        path = tmp_path / str(number)
        path.write_bytes(bytes(size))
        files[f"Ärger {number}/{'x' * number}.wav"] = path
    if limit is not None:
        monkeypatch.setattr(zipfile, "ZIP64_LIMIT", limit)
    content = b"".join(stream_zip(files))
    assert len(content) == zip_size(files)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None and archive.namelist() == list(files)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    assert len(b"".join(stream_zip(files))) == zip_size(files)


def test_a_zip_is_made_in_pieces(tmp_path):
    (tmp_path / "large").write_bytes(bytes(3_000_000))
    assert max(map(len, stream_zip({"a": tmp_path / "large"}))) < 600_000


def test_a_zip_of_songs_has_a_folder_for_each_also_where_names_are_the_same(client, service):
    jobs = [separated(service, name) for name in ("Song.wav", "song.flac", "Other.mp3")]
    ids = ",".join(job.id for job in [*jobs, jobs[0]])
    answer = client.get("/api/zip", params={"ids": ids})
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert "3%20songs" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        folders = {"Song": "Song", "song (2)": "song", "Other": "Other"}
        assert archive.namelist() == [
            f"{folder}/{name} - {stem}.wav" for folder, name in folders.items() for stem in STEMS
        ]
        stems = service.storage.song(jobs[2].id) / "stems"
        assert archive.read("Other/Other - bass.wav") == (stems / "bass.wav").read_bytes()


def test_a_zip_of_songs_that_are_not_there_or_not_ready_is_refused(client, service, wav):
    done = separated(service).id
    waiting = client.post("/api/jobs", files={"file": ("a.wav", wav)}).json()["id"]
    for ids, status in ((f"{done},{waiting}", 409), ("0" * 20, 404), ("", 404), ("../x", 404)):
        assert client.get("/api/zip", params={"ids": ids}).status_code == status
    assert client.get("/api/zip", params={"ids": "0" * 5000}).status_code == 422


def test_names_differ_also_where_a_number_is_taken():
    assert unlike("Song", ["SONG", "song (2)"]) == "Song (3)"
