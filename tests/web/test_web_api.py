"""The API, answered by a server whose workers are elsewhere: songs stay where tests put them."""

from __future__ import annotations

import io
import json
import time
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from starlette.testclient import TestClient
from web_songs import LIMITS, MODELS, RATE, STEMS, as_file, noise, separated

from unbraid.web.app import make_app
from unbraid.web.choices import JobSettings
from unbraid.web.security import host_names
from unbraid.web.service import Service
from unbraid.web.storage import Storage


def send(client, content: bytes, name: str = "song.wav", **fields):
    return client.post("/api/jobs", files={"file": (name, content)}, data=fields)


def code(response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def test_a_song_that_is_sent_waits_with_its_settings(client, wav, service):
    answer = send(client, wav, "My song.wav", format="flac", stems="vocals,bass", shifts="2")
    job = answer.json()
    assert answer.status_code == 201 and answer.headers["location"] == f"jobs/{job['id']}"
    assert (job["name"], job["status"], job["stage"], job["position"]) == (
        *("My song.wav", "queued", "waiting"),
        1,
    )
    assert job["settings"]["format"] == "flac" and job["settings"]["stems"] == ["vocals", "bass"]
    assert client.get(f"/api/jobs/{job['id']}").json() == job
    assert service.storage.original(job["id"], ".wav").read_bytes() == wav


def test_settings_say_what_can_be_chosen(client):
    settings = client.get("/api/settings").json()
    assert settings["models"][0]["name"] == "mini" and settings["models"][0]["default"]
    assert settings["models"][0]["stems"] == list(STEMS) and "source" not in settings["models"][0]
    assert settings["limits"] == {"upload_bytes": 2_000_000, "seconds": 60, "queue": 5}
    assert not settings["needs_key"] and "opus" in settings["formats"]
    assert client.get("/healthz").json()["status"] == "ok"


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "/etc/passwd"},
        {"model": "../mini"},
        {"stems": "piano"},
        {"stems": "drums", "two_stems": "vocals"},
        {"two_stems": "no_vocals"},
        {"format": "exe"},
        {"bit_depth": "8"},
        {"format": "mp3", "bit_depth": "24"},
        {"shifts": "-1"},
        {"shifts": "1e9"},
        {"shifts": "1.5"},
        {"shifts": "nan"},
        {"overlap": "1"},
        {"preview": "perhaps"},
        {"filename": "{stem}"},
    ],
)
def test_settings_that_cannot_be_are_refused_and_nothing_is_kept(
    shared_client, wav, shared_service, fields
):
    assert code(send(shared_client, wav, **fields)) == (422, "bad_setting")
    assert shared_service.store.count() == 0
    assert (
        list(shared_service.storage.songs.iterdir())
        == list(shared_service.storage.incoming.iterdir())
        == []
    )


def test_the_library_is_searched_by_name_and_status(client, service):
    for name in ("Ärger.mp3", "ruhe.mp3"):
        separated(service, name)
    assert [job["name"] for job in client.get("/api/jobs").json()["jobs"]] == [
        *("ruhe.mp3", "Ärger.mp3")
    ]
    found = client.get("/api/jobs", params={"query": "ÄRG", "status": "succeeded,failed"}).json()
    assert (found["total"], found["jobs"][0]["name"]) == (1, "Ärger.mp3")
    assert client.get("/api/jobs", params={"status": "queued"}).json()["total"] == 0
    assert code(client.get("/api/jobs", params={"status": "lost"})) == (422, "bad_status")
    assert code(client.get("/api/jobs", params={"limit": "x"})) == (422, "bad_request")


def test_a_full_queue_says_so_before_the_song_is_sent(client, wav):
    for _ in range(5):
        assert send(client, wav).status_code == 201
    assert code(send(client, wav)) == (429, "queue_full")


def test_cancel_retry_and_delete_move_a_job_that_waits(client, wav, service):
    id = send(client, wav).json()["id"]
    assert client.post(f"/api/jobs/{id}/cancel").json()["status"] == "canceled"
    assert code(client.post(f"/api/jobs/{id}/cancel")) == (409, "has_ended")
    assert client.post(f"/api/jobs/{id}/retry").json()["status"] == "queued"
    assert code(client.post(f"/api/jobs/{id}/retry")) == (409, "not_failed")
    assert client.delete(f"/api/jobs/{id}").status_code == 204
    assert code(client.get(f"/api/jobs/{id}")) == code(client.delete(f"/api/jobs/{id}"))
    assert not service.storage.song(id).exists()


def test_a_song_that_waits_is_moved(client, wav, service):
    ids = [send(client, wav).json()["id"] for _ in range(3)]
    assert client.post(f"/api/jobs/{ids[2]}/move", json={"position": 1}).json()["position"] == 1
    assert [job.id for job in service.store.with_status("queued")] == [ids[2], ids[0], ids[1]]
    for position in (0, -1, 1.5, "first", None):
        answer = client.post(f"/api/jobs/{ids[0]}/move", json={"position": position})
        assert answer.status_code == 422
    client.post(f"/api/jobs/{ids[0]}/cancel")
    assert code(client.post(f"/api/jobs/{ids[0]}/move", json={"position": 1})) == (
        *(409, "not_queued"),
    )


def test_a_preview_becomes_the_whole_song(client, wav):
    preview = send(client, wav, preview="true", format="mp3").json()
    answer = client.post(f"/api/jobs/{preview['id']}/full")
    full = answer.json()
    assert answer.status_code == 201 and full["id"] != preview["id"]
    assert full["settings"] == {**preview["settings"], "preview": False}
    client.delete(f"/api/jobs/{preview['id']}")
    assert client.get(f"/api/jobs/{full['id']}/stems/original").content == wav
    assert code(client.post(f"/api/jobs/{full['id']}/full")) == (409, "no_preview")


def test_parts_come_whole_in_ranges_and_once(client, service):
    job = separated(service, 'So "ng" ü.mp3')
    whole = (service.storage.song(job.id) / "stems" / "bass.wav").read_bytes()
    url = f"/api/jobs/{job.id}/stems/bass"
    answer = client.get(url)
    assert answer.content == whole and answer.headers["content-type"] == "audio/wav"
    assert "content-disposition" not in answer.headers
    part = client.get(url, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole)}"
    assert client.get(url, headers={"Range": "bytes=99999999-"}).status_code == 416
    etag = {"If-None-Match": answer.headers["etag"]}
    assert client.get(url, headers=etag).status_code == 304
    attached = client.get(url, params={"download": 1}).headers["content-disposition"]
    assert attached.startswith("attachment") and "%C3%BC%20-%20bass.wav" in attached
    original = client.get(f"/api/jobs/{job.id}/stems/original")
    assert original.headers["content-type"] == "application/octet-stream"
    assert original.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize("part", ["piano", "%2e%2e%2foriginal", "original.wav", "bass%00"])
def test_other_parts_are_not_there(client, service, part):
    id = separated(service).id
    for way in ("stems", "pcm"):
        answer = client.get(f"/api/jobs/{id}/{way}/{part}", params={"start": 0, "count": 1})
        assert answer.status_code == 404


def test_samples_are_exactly_those_asked_for(client, service):
    job = separated(service)
    stem = soundfile.read(service.storage.song(job.id) / "stems" / "drums.wav", dtype="int16")[0]
    url = f"/api/jobs/{job.id}/pcm/drums"

    def samples(start, count):
        answer = client.get(url, params={"start": start, "count": count})
        return soundfile.read(io.BytesIO(answer.content), dtype="int16")[0]

    assert np.array_equal(samples(1234, 5678), stem[1234 : 1234 + 5678])
    assert np.array_equal(samples(RATE - 3, 100), stem[-3:])
    assert len(samples(RATE, 1)) == len(samples(10**12, 1)) == 0
    answer = client.get(url, params={"start": 0, "count": 31 * RATE})
    assert code(answer) == (422, "too_many_samples")
    assert client.get(url, params={"start": -1, "count": 1}).status_code == 422


def test_peaks_are_there_for_all_parts(client, service):
    peaks = client.get(f"/api/jobs/{separated(service).id}/peaks").json()
    assert list(peaks["parts"]) == ["original", *STEMS] and peaks["samples"] == RATE
    assert all(len(pairs) == -(-RATE // 256) for pairs in peaks["parts"].values())


def test_a_mix_and_a_zip_are_downloads_that_leave_nothing_behind(client, service):
    job = separated(service, "Song.mp3")
    mix = client.get(f"/api/jobs/{job.id}/mix", params={"gains": "drums:1,bass:0.5"})
    signal, rate = soundfile.read(io.BytesIO(mix.content))
    assert signal.shape == (RATE, 2) and rate == RATE
    assert mix.headers["content-disposition"] == 'attachment; filename="Song%20-%20mix.wav"' or (
        "Song%20-%20mix.wav" in mix.headers["content-disposition"]
    )
    archive = client.get(f"/api/jobs/{job.id}/zip")
    with zipfile.ZipFile(io.BytesIO(archive.content)) as files:
        assert files.namelist() == [f"Song - {stem}.wav" for stem in STEMS]
    assert list(service.storage.incoming.iterdir()) == []
    bad = client.get(f"/api/jobs/{job.id}/mix", params={"gains": "piano:1"})
    assert code(bad) == (422, "bad_gains")


@pytest.mark.parametrize(
    "way", ["stems/drums", "pcm/drums?start=0&count=1", "peaks", "mix?gains=drums:1", "zip"]
)
def test_what_is_not_there_yet_is_not_ready(client, wav, way):
    id = send(client, wav).json()["id"]
    assert code(client.get(f"/api/jobs/{id}/{way}")) == (409, "not_ready")


def test_events_of_a_job_tell_its_state_first_and_end_with_it(client, service):
    job = separated(service)
    lines = client.get(f"/api/jobs/{job.id}/events").text.split("\n\n")
    assert lines[0].startswith("retry:") and lines[1].startswith("event: job\ndata: ")
    assert json.loads(lines[1].partition("data: ")[2])["status"] == "succeeded"
    assert lines[2:] == [""]


def test_songs_go_when_their_time_is_over_and_the_demo_stays(tmp_path):
    limits = replace(LIMITS, keep_days=1e-9)
    service = Service(Storage(tmp_path), limits, MODELS, devices=())
    old = separated(service)
    service.store.add("f" * 20, "demo.ogg", ".ogg", JobSettings("mini"), demo=True)
    service.store.cancel_waiting("f" * 20)
    time.sleep(0.01)
    with TestClient(make_app(service, host_names("localhost"), False), "http://localhost"):
        end = time.monotonic() + 5
        while service.store.get(old.id) is not None or service.storage.song(old.id).exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        assert service.store.get("f" * 20) is not None


def test_the_description_is_openapi_and_its_page_needs_nothing_from_elsewhere(client):
    schema = client.get("/openapi.json").json()
    assert schema["openapi"].startswith("3.1") and "/api/jobs/{id}/pcm/{part}" in schema["paths"]
    form = schema["paths"]["/api/jobs"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert "preview" in form["schema"]["properties"]
    page = client.get("/docs").text
    assert "POST /api/jobs" in page and "<script" not in page and "//" not in page.split("<h1>")[0]


def test_names_are_shown_but_never_used(client, wav, service):
    evil = "../../../../etc/cron.d/x\r\n\u202egnp.wav"
    job = send(client, wav, evil).json()
    assert "/" not in job["name"] and "\r" not in job["name"] and "\u202e" not in job["name"]
    names = {path.name for path in service.storage.root.rglob("*")}
    assert names <= {"songs", "incoming", "server.lock", job["id"], "original.wav"} | {
        name for name in names if name.startswith("jobs.sqlite3")
    }


def test_twice_the_same_song_is_two_songs(client, tmp_path):
    content = as_file(tmp_path / "a.wav", noise(1000))
    assert send(client, content).json()["id"] != send(client, content).json()["id"]
