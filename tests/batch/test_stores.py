"""Batches on URLs: whole objects or none, every song once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
import soundfile

fsspec = pytest.importorskip("fsspec")

from small_songs import LowHigh  # noqa: E402
from unbraid import OutputSettings, Separator, SettingsError  # noqa: E402
from unbraid.batch.journal import Entry  # noqa: E402
from unbraid.batch.request import BatchRequest  # noqa: E402
from unbraid.batch.store import Store, find_songs  # noqa: E402
from unbraid.batch.store_state import StoreClaims, StoreJournal  # noqa: E402
from unbraid.batch.store_worker import StoreWorker  # noqa: E402
from unbraid.cli.main import main  # noqa: E402


def write_songs(folder: Path, count: int = 3) -> None:
    for number in range(count):
        (folder / f"album {number % 2}").mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).normal(0, 0.1, (4410, 2))
        soundfile.write(folder / f"album {number % 2}" / f"{number}.wav", noise, 44100)
    (folder / "broken.wav").write_bytes(b"RIFF and nothing else")
    (folder / "notes.txt").write_text("no song")


@pytest.fixture
def memory(tmp_path: Path) -> str:
    """URL of a folder in memory that holds three songs and a broken one."""
    write_songs(tmp_path / "songs")
    url = f"memory://{uuid4().hex}"
    fsspec.filesystem("memory").put(str(tmp_path / "songs"), f"{url}/songs", recursive=True)
    return url


def work(url: str, out: str | Path, **more) -> StoreWorker:
    settings = {"retries": 1, "first_pause_s": 0.01, **more}
    request = BatchRequest((f"{url}/songs",), out, **settings)
    worker = StoreWorker(request, Separator(LowHigh()))
    worker.run()
    return worker


def stems(out: str) -> dict[str, bytes]:
    fs, root = fsspec.core.url_to_fs(out)
    return {path[len(root) :]: fs.cat_file(path) for path in fs.find(root) if ".wav" in path}


def test_songs_in_a_store_give_the_stems_that_files_give(memory, tmp_path):
    out = f"{memory}/stems"
    work(memory, out)
    separator = Separator(LowHigh())
    songs = sorted((tmp_path / "songs").rglob("?.wav"))
    for song in songs:
        separator.separate_file(song, tmp_path / "local" / song.parent.name)
    local = tmp_path / "local"
    expected = {f"/{p.relative_to(local)}": p.read_bytes() for p in local.rglob("*.wav")}
    assert stems(out) == expected
    entries = StoreJournal(Store(out)).entries()
    assert sorted(entry.status for entry in entries) == ["done"] * 3 + ["failed"]
    assert [e.attempt for e in entries if e.status == "failed"] == [2]
    assert Store(out).read("batch.jsonl").count(b"\n") == 5


def test_a_second_run_does_nothing_and_a_changed_song_is_done_again(memory):
    out = f"{memory}/stems"
    work(memory, out)
    before = len(StoreJournal(Store(out)).lines())
    work(memory, out)
    assert len(StoreJournal(Store(out)).lines()) == before
    work(memory, out, output=OutputSettings(format="flac"))
    assert len(StoreJournal(Store(out)).lines()) == before + 5


def test_files_come_from_and_go_to_ordinary_folders_too(memory, tmp_path):
    work(memory, f"file://{tmp_path}/out")
    assert len(list((tmp_path / "out").rglob("*.wav"))) == 6
    assert not list((tmp_path / "out").rglob("*.part"))
    request = BatchRequest((str(tmp_path / "songs"),), f"{memory}/up", retries=0)
    StoreWorker(request, Separator(LowHigh())).run()
    assert len(stems(f"{memory}/up")) == 6


def test_an_upload_that_fails_leaves_no_object_under_its_name(memory, tmp_path, monkeypatch):
    out = f"{memory}/stems"
    monkeypatch.setattr(Store, "_part", lambda *_: "/nowhere/\0")
    monkeypatch.setattr(
        type(fsspec.filesystem("memory")), "put_file", lambda *_: (_ for _ in ()).throw(OSError(28))
    )
    store = Store(out)
    with pytest.raises(OSError):
        store.upload(tmp_path / "songs" / "notes.txt", "x.wav")
    assert not store.exists("x.wav")


def test_what_a_dead_worker_left_unfinished_is_deleted_and_never_read(memory, tmp_path):
    out = tmp_path / "out"
    work(memory, f"file://{out}", output=OutputSettings(bit_depth="16"))
    journal = out / ".unbraid" / "batch" / "journal"
    (journal / ".dead-0001.jsonl.1234.part").write_bytes(next(journal.iterdir()).read_bytes())
    half = out / "album 0" / "0" / ".low.wav.1234.part"
    other = half.with_name(".mine.wav.1234.part")
    for path in (half, other):
        path.write_bytes(b"half")
    before = len(StoreJournal(Store(f"file://{out}")).lines())
    assert before == 5
    work(memory, f"file://{out}", output=OutputSettings(bit_depth="24"))
    assert not half.exists()
    assert other.exists()


def test_objects_of_others_are_not_replaced(memory):
    out = f"{memory}/stems"
    Store(out).write("album 0/0/low.wav", b"mine")
    work(memory, out, retries=0)
    assert Store(out).read("album 0/0/low.wav") == b"mine"
    failed = [e for e in StoreJournal(Store(out)).entries() if e.status == "failed"]
    assert any("was not written by unbraid" in entry.error for entry in failed)
    work(memory, out, retries=0, output=OutputSettings(overwrite=True), retry_failed=True)
    assert Store(out).read("album 0/0/low.wav") != b"mine"


def test_a_song_uploaded_by_a_worker_that_died_before_it_said_so_is_done_again(memory, monkeypatch):
    out = f"{memory}/stems"
    with monkeypatch.context() as patch:
        patch.setattr(StoreJournal, "append", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            work(memory, out)
    work(memory, out)
    assert len(stems(out)) == 6


def test_a_claim_is_taken_over_only_after_its_owner_fell_silent(memory):
    store = Store(f"{memory}/claims")
    dead, other = StoreClaims(store, "dead", 1.0), StoreClaims(store, "other", 1.0)
    assert dead.take("song")
    assert not other.take("song")
    dead._closed.set()
    dead._renewer.join()
    wait_until(lambda: other.take("song"))
    assert other.is_held("song")
    assert not dead.is_held("song")
    dead.release("song")
    assert other.is_held("song")
    assert other.give_up("other") == {"song"}
    other.close()


def wait_until(true) -> None:
    import time

    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_journal_goes_over_several_objects(memory):
    store = Store(f"{memory}/journal")
    journal = StoreJournal(store, "worker")
    for number in range(150):
        journal.append(Entry("s", str(number), "r", "done", 1, float(number), "worker"))
    assert len(list(store.names(".unbraid/batch/journal"))) == 2
    assert [entry.key for entry in StoreJournal(store).lines()] == [str(n) for n in range(150)]
    assert StoreJournal(store).last("7", "r").time == 7.0


def test_songs_are_found_once_and_output_is_none(memory):
    found = find_songs((f"{memory}/songs", f"{memory}/songs/album 0/*.wav"), f"{memory}/stems")
    assert [song.name for song in found] == ["0.wav", "2.wav", "1.wav", "broken.wav"]
    assert found[0].folder == ("album 0",)
    assert all(song.stamp is not None for song in found)


@pytest.mark.parametrize(
    ("change", "hint"),
    [({"watch": True}, "--watch"), ({"out": "no-such-store://x"}, "no-such-store")],
)
def test_a_wrong_request_is_refused(memory, change, hint):
    out = change.pop("out", f"{memory}/stems")
    with pytest.raises(SettingsError, match=hint):
        work(memory, out, **change)


@pytest.mark.parametrize("place", ["{memory}/empty", "{folder}", "{folder}/nowhere"])
def test_a_place_without_songs_is_told_at_once(memory, tmp_path, place, capsys):
    place = place.format(memory=memory, folder=tmp_path / "empty")
    (tmp_path / "empty").mkdir()
    assert main(["batch", place, "-o", f"{memory}/stems"]) == 2
    assert capsys.readouterr().err == f"unbraid: there are no songs at {place!r}\n"


@pytest.mark.slow
def test_a_batch_on_s3_by_two_workers(tmp_path, monkeypatch):
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "x"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", f"http://{host}:{port}"),
    ):
        monkeypatch.setenv(name, value)
    try:
        write_songs(tmp_path / "songs")
        fs = fsspec.filesystem("s3")
        fs.mkdir("library")
        fs.put(f"{tmp_path}/songs", "library/", recursive=True)
        command = [sys.executable, "-m", "unbraid", "batch", "s3://library/songs", "-o"]
        command += ["s3://library/stems", "--model", "mini", "--threads", "1", "--workers", "2"]
        command += ["--retries", "0"]
        run = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=280, env=os.environ
        )
        assert run.returncode == 1, run.stderr  # one song is broken
        fs.invalidate_cache()
        assert len([p for p in fs.find("library/stems") if p.endswith(".wav")]) == 12
        again = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
        assert "0 done in this run, 1 failed" in again.stderr
        status = subprocess.run(
            [sys.executable, "-m", "unbraid", "batch", "status", "s3://library/stems"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "3 done" in status.stdout
        assert "broken.wav" in status.stdout
    finally:
        server.stop()
