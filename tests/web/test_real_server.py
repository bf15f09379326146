"""`unbraid serve` as it is: separations, and what survives kill -9."""

from __future__ import annotations

import io
import os
import signal
import socket
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from real_server import RealServer, serving
from web_songs import RATE, STEMS, as_file, noise

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """A song of 3 s, one of 20 s, and one that takes a while."""
    folder = tmp_path_factory.mktemp("songs")
    as_file(folder / "short.wav", noise(3 * RATE))
    as_file(folder / "medium.wav", noise(20 * RATE))
    as_file(folder / "long.wav", noise(150 * RATE))
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("real") / "data") as running:
        yield running


def files_of(server: RealServer) -> set[str]:
    return {path.name for path in (server.data / "songs").iterdir()}


def test_a_song_is_separated_and_its_parts_add_up_to_it(server, songs):
    job = server.send(songs / "short.wav", residual="true")
    end = server.end_of(job["id"])
    assert end["status"] == "succeeded" and end["progress"] == 1.0, end
    assert end["parts"] == [*STEMS, "residual"] and end["null_test_db"] < -250
    assert end["samples"] == end["samples_ready"] == 3 * RATE and end["channels"] == 2
    assert -20 < end["loudness_lufs"] < -5
    whole = soundfile.read(songs / "short.wav", dtype="int16")[0].astype(int)
    total = 0
    for part in end["parts"]:
        file = server.client.get(f"/api/jobs/{job['id']}/stems/{part}").content
        signal = soundfile.read(io.BytesIO(file), dtype="int16")[0]
        pcm = server.client.get(
            f"/api/jobs/{job['id']}/pcm/{part}", params={"start": 1000, "count": 2000}
        )
        played = soundfile.read(io.BytesIO(pcm.content), dtype="int16")[0]
        assert np.array_equal(played, signal[1000:3000])
        total = total + signal.astype(int)
    assert np.array_equal(total, whole)
    peaks = server.client.get(f"/api/jobs/{job['id']}/peaks").json()
    assert list(peaks["parts"]) == ["original", *end["parts"]]
    assert {len(pairs) for pairs in peaks["parts"].values()} == {-(-3 * RATE // 256)}


@pytest.mark.parametrize("format", ["flac", "mp3", "m4a", "ogg", "opus"])
def test_parts_in_every_format_can_be_played_to_the_sample(server, songs, format):
    id = server.send(songs / "short.wav", format=format, two_stems="vocals")["id"]
    end = server.end_of(id)
    assert end["parts"] == ["vocals", "no_vocals"], end
    assert end["sample_rate"] == (48000 if format == "opus" else RATE)
    for part in ("original", "vocals", "no_vocals"):
        query = {"start": end["samples"] - 50, "count": 100}
        answer = server.client.get(f"/api/jobs/{id}/pcm/{part}", params=query)
        assert len(soundfile.read(io.BytesIO(answer.content))[0]) == 50
    archive = server.client.get(f"/api/jobs/{id}/zip").content
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        assert files.namelist() == [f"short - {part}.{format}" for part in end["parts"]]


def test_a_preview_is_twenty_seconds_and_then_the_whole_song(server, songs):
    id = server.send(songs / "long.wav", preview="true", stems="bass")["id"]
    end = server.end_of(id)
    assert end["status"] == "succeeded" and end["samples"] == 20 * RATE, end
    assert end["seconds_whole"] == 150 and 20 < end["preview_start_s"] < 120
    full = server.client.post(f"/api/jobs/{id}/full").json()
    assert server.running(full["id"])["seconds_audio"] == 150
    assert server.client.delete(f"/api/jobs/{full['id']}").status_code == 204


def test_parts_can_be_heard_while_they_are_separated(server, songs):
    id = server.send(songs / "medium.wav", stems="bass,drums", residual="true")["id"]
    job = server.wait(id, lambda job: job["samples_ready"] > RATE)
    assert job["parts"] == ["drums", "bass", "residual"] and job["status"] == "running"
    early = {}
    for part in ("original", *job["parts"]):
        answer = server.client.get(f"/api/jobs/{id}/pcm/{part}", params={"start": 0, "count": RATE})
        early[part] = soundfile.read(io.BytesIO(answer.content))[0]
    whole = early.pop("original")
    assert np.abs(sum(early.values()) - whole).max() < 1e-3
    assert server.client.get(f"/api/jobs/{id}/peaks").json()["parts"].keys() == {"original"}
    end = server.end_of(id)
    gain = 10 ** (end["gain_db"] / 20)
    answer = server.client.get(f"/api/jobs/{id}/pcm/bass", params={"start": 0, "count": RATE})
    late = soundfile.read(io.BytesIO(answer.content))[0]
    assert np.abs(late - gain * early["bass"]).max() < 1e-3


def test_events_tell_of_progress_that_never_falls_and_end_with_the_job(server, songs):
    id = server.send(songs / "short.wav")["id"]
    events = server.events(id)
    assert events[-1]["status"] == "succeeded"
    assert [e["progress"] for e in events] == sorted(e["progress"] for e in events)
    stages = list(dict.fromkeys(event["stage"] for event in events))
    assert stages[-2:] == ["writing", "done"] or stages[-1] == "done"


def test_a_running_song_stops_when_it_is_cancelled_and_can_be_tried_again(server, songs):
    id = server.send(songs / "long.wav")["id"]
    server.running(id)
    begun = time.monotonic()
    server.client.post(f"/api/jobs/{id}/cancel")
    assert server.end_of(id)["status"] == "canceled" and time.monotonic() - begun < 15
    assert [path.name for path in (server.data / "songs" / id).iterdir()] == ["original.wav"]
    assert server.client.post(f"/api/jobs/{id}/retry").json()["status"] in ("queued", "running")
    server.client.delete(f"/api/jobs/{id}")


def test_a_running_song_that_is_deleted_leaves_nothing(server, songs):
    id = server.send(songs / "long.wav")["id"]
    server.running(id)
    assert server.client.delete(f"/api/jobs/{id}").status_code == 204
    assert server.client.get(f"/api/jobs/{id}").status_code == 404
    other = server.send(songs / "short.wav")["id"]
    assert server.end_of(other)["status"] == "succeeded"
    assert id not in files_of(server)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("noise.mp3", bytes(np.random.default_rng(0).integers(0, 256, 20_000, np.uint8)), "file"),
        ("cut.wav", b"RIFF\xff\xff\xff\xffWAVEfmt ", "file"),
        ("silent.flac", b"fLaC" + bytes(60), "file"),
        ("empty.ogg", b"OggS" + bytes(100), "file"),
    ],
)
def test_files_that_are_no_sound_fail_in_one_sentence(server, tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    end = server.end_of(server.send(tmp_path / name)["id"])
    assert end["status"] == "failed" and words in end["error"]
    assert end["error"].endswith(".") and str(server.data) not in end["error"]


def test_a_worker_that_dies_is_started_again_and_its_song_gets_one_more_try(server, songs):
    id = server.send(songs / "long.wav")["id"]
    server.running(id)
    os.kill(server.worker_pids()[0], signal.SIGKILL)
    server.wait(id, lambda job: job["status"] == "queued")
    assert server.client.get("/healthz").status_code == 200
    server.running(id)
    os.kill(server.worker_pids()[0], signal.SIGKILL)
    end = server.end_of(id)
    assert end["status"] == "failed" and "crashed twice" in end["error"]
    other = server.send(songs / "short.wav")["id"]
    assert server.end_of(other)["status"] == "succeeded"


def test_kill_9_of_the_server_loses_no_song_doubles_none_and_leaves_no_files(songs, tmp_path):
    first = RealServer(tmp_path / "data")
    running = first.send(songs / "long.wav")["id"]
    waiting = [first.send(songs / "short.wav")["id"] for _ in range(3)]
    first.running(running)
    workers = first.worker_pids()
    (tmp_path / "data" / "songs" / ("0" * 20)).mkdir()
    (tmp_path / "data" / "incoming" / "half").write_bytes(b"x")
    first.kill()
    with serving(tmp_path / "data") as second:
        assert not any(map(alive, workers))
        jobs = second.client.get("/api/jobs").json()["jobs"]
        assert [job["id"] for job in reversed(jobs)] == [running, *waiting]
        assert all(job["status"] in ("queued", "running") for job in jobs)
        second.client.delete(f"/api/jobs/{running}")
        assert all(second.end_of(id)["status"] == "succeeded" for id in waiting)
        assert files_of(second) == set(waiting)
        assert list((tmp_path / "data" / "incoming").iterdir()) == []
        folders = [tmp_path / "data" / "songs" / id / "stems" for id in waiting]
        assert all(not list(folder.glob(".unbraid-*")) for folder in folders)


def test_a_song_half_separated_at_kill_9_ends_as_one_never_interrupted(songs, tmp_path):
    first = RealServer(tmp_path / "data")
    id = first.send(songs / "medium.wav")["id"]
    first.running(id)
    first.kill()
    with serving(tmp_path / "data") as second:
        assert second.end_of(id)["status"] == "succeeded"
        again = second.send(songs / "medium.wav")["id"]
        assert second.end_of(again)["status"] == "succeeded"
        for part in STEMS:
            one, other = (
                second.client.get(f"/api/jobs/{job}/stems/{part}").content for job in (id, again)
            )
            assert one == other


def test_the_demo_is_there_to_be_played_when_its_server_says_where_it_is(tmp_path):
    server = RealServer(tmp_path / "data", "--demo")
    try:
        (job,) = server.client.get("/api/jobs").json()["jobs"]
        assert job["demo"] and job["status"] == "succeeded"
        assert server.client.get(f"/api/jobs/{job['id']}/peaks").status_code == 200
    finally:
        server.close()


def test_two_signals_at_once_end_the_server_without_a_traceback(tmp_path):
    server = RealServer(tmp_path / "twice")
    for _ in range(2):
        server.process.send_signal(signal.SIGINT)
        time.sleep(0.02)  # otherwise they arrive as one
    server.close()
    assert server.process.returncode == 0
    assert (tmp_path / "twice.log").read_text() == ""


def test_headers_that_never_end_are_cut_off_and_others_are_answered_meanwhile(server):
    host, port = server.url.removeprefix("http://").split(":")
    slow = [socket.create_connection((host, int(port))) for _ in range(50)]
    for connection in slow:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
    begun = time.monotonic()
    assert server.client.get("/healthz").status_code == 200
    assert time.monotonic() - begun < 2
    for connection in slow:
        connection.settimeout(40)
        with connection:
            assert connection.recv(100) == b"" or True
    assert time.monotonic() - begun < 40
    big = socket.create_connection((host, int(port)))
    with big:
        big.settimeout(20)
        big.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 10_000)
        assert b" 431 " in big.recv(100)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has waited for does not."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
