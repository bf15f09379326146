"""Batches on a Ray cluster: with a stand-in for Ray and, slowly, with two workers of a real one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from argparse import ArgumentTypeError
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from small_songs import LowHigh
from unbraid import Separator, SettingsError, UnbraidError
from unbraid.batch import ray_cluster, ray_worker
from unbraid.batch.claims import Claims
from unbraid.batch.journal import Journal
from unbraid.batch.ray_cluster import run_on_ray
from unbraid.batch.ray_slots import find_slots
from unbraid.batch.request import BatchRequest
from unbraid.batch.worker import STATE
from unbraid.cli import types
from unbraid.cli.main import main


def node(name: str, **resources: float) -> dict[str, Any]:
    alive = resources.pop("alive", True)
    return {"NodeID": name, "NodeManagerHostname": name, "Alive": alive, "Resources": resources}


NODES = [node("a", CPU=16.0, GPU=2.0), node("b", CPU=8.0), node("c", CPU=4.0, alive=False)]


def test_each_gpu_and_each_node_without_one_has_a_worker():
    found = find_slots(NODES)
    assert [(slot.node, slot.number, slot.cpus, slot.gpu) for slot in found] == [
        ("a", 0, 8, True),
        ("b", 0, 8, False),
        ("a", 1, 8, True),
    ]


@pytest.mark.parametrize(
    ("arguments", "cpus"),
    [
        ({"device": "cuda"}, [8, 8]),
        ({"device": "cpu"}, [16, 8]),
        ({"device": "cpu", "threads": "auto"}, [16, 8]),
        ({"device": "cpu", "threads": 8}, [8, 8, 8]),
        ({"device": "cpu", "threads": 100}, [16, 8]),
        ({"device": "cpu", "most": 4}, [8, 4, 8, 4]),
        ({"device": "cpu", "threads": 1, "most": 3}, [1, 1, 1]),
    ],
)
def test_workers_share_the_processors_of_their_nodes(arguments, cpus):
    assert [slot.cpus for slot in find_slots(NODES, **arguments)] == cpus


def test_a_gpu_by_its_number_is_refused():
    with pytest.raises(SettingsError, match="--device cuda "):
        find_slots(NODES, "cuda:1")


@pytest.mark.parametrize("good", ["auto", "head:6379", "192.0.2.1:6379", "ray://head:10001"])
def test_an_address_is_known_by_its_port(good):
    assert types.ray_address(good) == good


@pytest.mark.parametrize("wrong", ["songs", "head", "songs/a:1", "head:port"])
def test_a_song_is_not_taken_for_an_address(wrong):
    with pytest.raises(ArgumentTypeError, match="--ray last"):
        types.ray_address(wrong)


def test_without_ray_one_line_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    (tmp_path / "song.wav").touch()
    assert main(["batch", str(tmp_path), "-o", str(tmp_path / "out"), "--ray"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "pip install 'unbraid[ray]'" in error


class Lost(Exception):
    """Stands for the error of an actor that has died."""


class StandIn:
    """As much of Ray as the driver uses: actors are objects here, each with threads of its own."""

    exceptions = SimpleNamespace(RayError=Lost)

    def __init__(self, *nodes: dict[str, Any]) -> None:
        self._nodes = list(nodes)
        self.killed = 0
        strategies = SimpleNamespace(NodeAffinitySchedulingStrategy=lambda node, soft: node)
        self.util = SimpleNamespace(scheduling_strategies=strategies)

    def nodes(self):
        return self._nodes

    def remote(self, kind):
        def make(*arguments):
            pool = ThreadPoolExecutor(2)
            actor = kind(*arguments)

            def method(name):
                def call(*given):
                    return pool.submit(getattr(actor, name), *given)

                return SimpleNamespace(remote=call)

            return SimpleNamespace(**{n: method(n) for n in ("prepare", "work", "stop")})

        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=make))

    def wait(self, answers, num_returns=1, timeout=None):
        done, rest = wait_for(answers, timeout, FIRST_COMPLETED)
        return list(done), list(rest)

    def get(self, answer):
        return answer.result()

    def kill(self, actor):
        self.killed += 1

    def shutdown(self):
        pass


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Six songs and one that is none."""
    folder = tmp_path / "library"
    folder.mkdir()
    for number in range(6):
        noise = np.random.default_rng(number).normal(0, 0.1, (4410, 2))
        soundfile.write(folder / f"{number}.wav", noise, 44100)
    (folder / "broken.wav").write_bytes(b"RIFF and nothing else")
    return folder


@pytest.fixture
def stand_in(monkeypatch) -> StandIn:
    ray = StandIn(node("a", CPU=2.0))
    monkeypatch.setattr(ray_cluster, "_connected", lambda address: ray)
    monkeypatch.setattr(ray_cluster, "_LOOK_S", 0.01)
    monkeypatch.setattr(ray_cluster, "_NEW_NODES_S", 0.05)
    monkeypatch.setattr("unbraid.batch.worker.LOOK_S", 0.01)
    return ray


def request_for(library: Path, out: Path, **more: Any) -> BatchRequest:
    settings = {"retries": 1, "first_pause_s": 0.01, **more}
    return BatchRequest((str(library),), out, separator={"model": LowHigh()}, **settings)


def stems(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.wav")}


def done(out: Path) -> list[str]:
    return sorted(entry.key for entry in Journal(out).lines() if entry.status != "failed")


def test_two_actors_make_the_stems_of_separate(library, stand_in, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # actors get whole paths
    out = tmp_path / "out"
    request = request_for(Path("library"), Path("out"))
    run_on_ray(request, most=2)
    for song in sorted(library.glob("?.wav")):
        Separator(LowHigh()).separate_file(song, tmp_path / "alone")
    assert stems(out) == stems(tmp_path / "alone")
    assert len(done(out)) == len(set(done(out))) == 6
    assert len({entry.worker for entry in Journal(out).lines()}) <= 2
    assert not list((out / ".unbraid" / "batch").glob("*.sign"))
    before = Journal(out).path.read_bytes()
    run_on_ray(request, most=2)
    assert Journal(out).path.read_bytes() == before


def test_songs_of_a_lost_actor_are_done_by_its_replacement(
    library, stand_in, tmp_path, monkeypatch
):
    out, orders, make_worker = tmp_path / "out", [], ray_worker.make_worker

    def dying_once(order, separator, cancel):
        orders.append(order)
        if len(orders) == 1:
            claims = Claims(out / STATE / "claims", order.owner)
            claims.take("0/*.wav")
            claims._closed.set()  # nobody renews it, and the lease is long
            raise Lost("node-1 has left")
        return make_worker(order, separator, cancel)

    monkeypatch.setattr(ray_worker, "make_worker", dying_once)
    run_on_ray(request_for(library, out), most=1)
    assert orders[1].after == orders[0].owner
    (lost,) = [entry for entry in Journal(out).lines() if entry.worker == orders[0].owner]
    assert lost.key == "0/*.wav"
    assert "was lost (Lost: node-1 has left) while it worked on this song" in lost.error
    assert len(done(out)) == len(set(done(out))) == 6


def test_actors_that_never_start_end_the_batch(library, stand_in, tmp_path, monkeypatch):
    def never(*_):
        raise Lost("no memory")

    monkeypatch.setattr(ray_worker.RayWorker, "prepare", never)
    with pytest.raises(UnbraidError, match=r"no worker of the batch can start.*no memory"):
        run_on_ray(request_for(library, tmp_path / "out"))
    assert stand_in.killed == 3


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (("__version__", "0"), "0 here"),
        (("_appears", lambda sign: False), "another folder there"),
    ],
)
def test_a_node_that_is_set_up_differently_is_refused(
    change, hint, library, stand_in, tmp_path, monkeypatch
):
    if change[0] == "__version__":
        prepare = ray_worker.RayWorker.prepare
        change = ("RayWorker.prepare", lambda self, version, *more: prepare(self, "0", *more))
    monkeypatch.setattr(f"unbraid.batch.ray_worker.{change[0]}", change[1])
    with pytest.raises(SettingsError, match=hint):
        run_on_ray(request_for(library, tmp_path / "out"))


def test_a_cluster_without_room_is_refused(library, stand_in, tmp_path):
    stand_in._nodes = [node("a", CPU=0.0)]
    with pytest.raises(SettingsError, match="no room"):
        run_on_ray(request_for(library, tmp_path / "out"))


def actors_of(process: subprocess.Popen) -> list[int]:
    """The actors below a process, by their names in the table of processes."""
    table = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True).stdout
    rows = [line.split(None, 2) for line in table.splitlines()[1:]]
    below, found = {str(process.pid)}, []
    for _ in rows:
        below |= {pid for pid, parent, *_ in rows if parent in below}
    for pid, _, *arguments in rows:
        if pid in below and arguments and arguments[0].startswith("ray::RayWorker"):
            found.append(int(pid))
    return found


@pytest.mark.slow
def test_on_a_cluster_of_two_workers_one_killed_every_song_is_done_once(library, tmp_path):
    pytest.importorskip("ray")
    for number in range(6, 24):
        noise = np.random.default_rng(number).normal(0, 0.1, (4 * 44100, 2))
        soundfile.write(library / f"{number}.wav", noise, 44100)
    out, alone = tmp_path / "out", tmp_path / "alone"
    unbraid = [sys.executable, "-m", "unbraid"]
    same = [str(library), "--model", "mini", "--threads", "1", "-o"]
    subprocess.run([*unbraid, "separate", *same, str(alone), "--quiet"], stderr=subprocess.DEVNULL)
    command = [*unbraid, "batch", *same, str(out), "--pause", "0.1", "--ray", "--workers", "2"]
    pipe = subprocess.PIPE
    process = subprocess.Popen([*command, "--json"], stdout=pipe, stderr=pipe, text=True)
    deadline = time.monotonic() + 200
    while len(done(out)) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(actors_of(process)[0], signal.SIGKILL)
    lines, told = process.communicate(timeout=280)
    assert process.returncode == 1, told  # one song is broken
    assert "Traceback" not in told
    assert len(lines.splitlines()) == len(Journal(out).lines())
    assert all(json.loads(line)["key"] for line in lines.splitlines())
    assert len(done(out)) == len(set(done(out))) == 24
    assert len(stems(out)) == 96
    assert stems(out) == stems(alone)
    lost = [e for e in Journal(out).lines() if e.error and "was lost" in e.error]
    assert 1 <= len(lost) <= 3
    again = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert "0 done in this run, 1 failed" in again.stderr
    status = subprocess.run([*unbraid, "batch", "status", str(out)], capture_output=True, text=True)
    assert "24 done" in status.stdout  # and those that were complete when their worker died
