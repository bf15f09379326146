"""`unbraid batch`: the stems of `separate`, once each, whatever dies on the way."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from small_songs import noise, write_song
from unbraid.batch.journal import Journal
from unbraid.batch.request import BatchRequest
from unbraid.batch.supervisor import WorkerOrder
from unbraid.cli.main import main

SONGS = 6


def _unbraid(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "unbraid", *map(str, arguments)]


def _batch(library: Path, out: Path, *more: str) -> list[str]:
    return _unbraid("batch", library, "-o", out, "--model", "mini", "--threads", "1", *more)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six short songs, and one that is no song."""
    folder = tmp_path_factory.mktemp("library")
    for number in range(SONGS):
        noise = np.random.default_rng(number).normal(0, 0.1, (44100, 2))
        soundfile.write(folder / f"song {number}.wav", noise, 44100)
    (folder / "broken.wav").write_bytes(b"RIFF and nothing else")
    return folder


@pytest.fixture(scope="module")
def expected(library: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What `separate` makes of them."""
    out = tmp_path_factory.mktemp("expected")
    command = _unbraid("separate", library, "-o", out, "--model", "mini", "--threads", "1")
    subprocess.run([*command, "--quiet"], check=False, capture_output=True, timeout=300)
    stems = _stems(out)
    assert len(stems) == 4 * SONGS
    return stems


def _stems(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*.wav"))}


def _done(out: Path) -> list[str]:
    return sorted(entry.key for entry in Journal(out).lines() if entry.status != "failed")


def test_two_commands_share_the_songs_and_a_second_run_does_nothing(
    library: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    command = _batch(library, tmp_path, "--retries", "1", "--pause", "0.1", "--json", "--quiet")
    both = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    printed = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [1, 1]  # one song is broken
    assert _stems(tmp_path) == expected
    assert len(_done(tmp_path)) == len(set(_done(tmp_path))) == SONGS
    failed = [entry for entry in Journal(tmp_path).lines() if entry.status == "failed"]
    assert [entry.attempt for entry in failed] == [1, 2]
    assert all("status" in json.loads(line) for line in printed[0].splitlines())

    before = Journal(tmp_path).path.read_bytes()
    assert subprocess.run(command, check=False, timeout=300).returncode == 1
    assert Journal(tmp_path).path.read_bytes() == before


@pytest.mark.slow
def test_killed_and_started_again_it_finishes_every_song_once(
    library: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    command = _batch(library, tmp_path, "--retries", "0", "--lease", "1")
    process = subprocess.Popen([*command, "--quiet"], start_new_session=True)
    deadline = time.monotonic() + 200
    while not _done(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    worker = subprocess.run(
        ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True
    )
    for pid in (process.pid, *map(int, worker.stdout.split())):
        os.kill(pid, signal.SIGKILL)
    process.wait()
    assert subprocess.run(command, check=False, capture_output=True, timeout=300).returncode == 1
    assert _stems(tmp_path) == expected
    assert len(_done(tmp_path)) == len(set(_done(tmp_path))) == SONGS


def test_a_worker_ends_with_its_supervisor(tmp_path: Path) -> None:
    (tmp_path / "songs").mkdir()
    request = BatchRequest((str(tmp_path / "songs"),), tmp_path / "out", watch=True)
    with subprocess.Popen(
        [sys.executable, "-m", "unbraid.batch.process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as worker:
        assert worker.stdin is not None and worker.stdout is not None
        worker.stdin.write(pickle.dumps(WorkerOrder(request, "one")))
        worker.stdin.flush()
        assert worker.stdout.readline() == b"ready\n"
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(0.5)  # it waits for songs
        worker.stdin.close()  # as the system does when the supervisor is killed
        try:
            assert worker.wait(20) == 0
        finally:
            worker.kill()


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced_and_its_songs_are_tried_again(
    library: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    command = _batch(library, tmp_path, "--pause", "0.1", "--retries", "2")
    process = subprocess.Popen([*command, "--quiet"])
    deadline = time.monotonic() + 200
    while not _done(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    worker = subprocess.run(
        ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True
    )
    os.kill(int(worker.stdout.split()[0]), signal.SIGKILL)
    assert process.wait(300) == 1
    assert _stems(tmp_path) == expected
    assert len(_done(tmp_path)) == len(set(_done(tmp_path))) == SONGS


@pytest.mark.slow
def test_status_says_how_far_it_is(library: Path, tmp_path: Path) -> None:
    command = _batch(library, tmp_path, "--shard", "1/4", "--retries", "0", "--quiet")
    subprocess.run(command, check=False, timeout=300)
    status = subprocess.run(
        _unbraid("batch", "status", tmp_path), capture_output=True, text=True, check=False
    )
    assert status.returncode == 1
    assert "1 done" in status.stdout
    assert "1 failed" in status.stdout
    assert "broken.wav" in status.stdout


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["song.wav"], "-o DIR"),
        (["nowhere", "-o", "out"], "'nowhere' does not exist"),
        (["*.mp3", "nowhere", "-o", "out"], "'*.mp3' matches no file; 'nowhere' does not exist"),
        (["empty", "-o", "out"], "'empty' holds no sound files"),
        (["broken link", "e*", "-o", "out"], "'broken link' does not exist; 'empty' holds no"),
        (["", "-o", "out"], "'' is not a file name"),
        ([".", "-o", "file"], "is a file, not a folder"),
        ([".", "-o", "file/out"], "not a directory"),
        (["status"], "one output folder"),
        (["status", "nowhere"], "holds no batch"),
        (["song.wav", "-o", "out", "--model", "no-such-model"], "no-such-model"),
        (["song.wav", "-o", "out", "--lease", "0"], "lease"),
    ],
)
def test_a_wrong_request_is_refused(
    arguments: list[str],
    hint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("song.wav", "file"):
        Path(name).touch()
    Path("empty").mkdir()
    Path("broken link").symlink_to("nowhere")
    assert main(["batch", *arguments]) == 2
    error = capfd.readouterr().err  # its workers' words too
    assert hint in error
    assert "Traceback" not in error
    assert "tried again" not in error


def test_a_mistyped_input_is_told_at_once_and_the_others_are_separated(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    song = write_song(tmp_path / "song.wav", noise(0.3))
    out = tmp_path / "out"
    empty = tmp_path / "empty"
    empty.mkdir()
    command = ["batch", str(tmp_path / "sogn.wav"), str(song), str(empty), "-o", str(out)]
    assert main(command) == 1
    error = capfd.readouterr().err
    assert "sogn.wav' does not exist\n" in error
    assert "empty' holds no sound files\n" in error
    assert "1 done in this run, 0 failed" in error
    assert "tried again" not in error
    assert [entry.status for entry in Journal(out).entries()] == ["done"]
