"""Killed before any change of the disk, nothing is lost, and the same again comes to its end."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
import soundfile

from deaths import leave_at_every_change
from unbraid import OutputSettings, Separator
from unbraid.batch import worker
from unbraid.batch.claims import Claims
from unbraid.batch.journal import Journal
from unbraid.batch.request import BatchRequest
from unbraid.batch.worker import Worker
from unbraid.models.base import ModelSpec
from unbraid.songs.dataset_writer import begin, finish, read_facts, write_track

pytestmark = pytest.mark.skipif(os.name == "nt", reason="forks and signals of POSIX")

RATE = 8000
RESIDUAL = OutputSettings(residual=True, bit_depth="24")


class Halves:
    """Stems "low", half the mixture, and "high", a quarter: without torch, so forks are cheap."""

    spec = ModelSpec(("low", "high"), RATE, 2, RATE)
    device, engine = "cpu", "numpy"

    def valid_samples(self, samples):
        return samples

    def __call__(self, mixture):
        return np.stack([0.5 * mixture, 0.25 * mixture], axis=1)

    def take_back(self, estimates):
        pass

    def pass_bytes(self, samples):
        return 0

    def fingerprint(self):
        return "00"

    def narrow(self, stems):
        return self


def write_song(path):
    path.parent.mkdir(parents=True)
    signal = np.random.default_rng(0).uniform(-0.5, 0.5, (200, 2))
    soundfile.write(path, signal, RATE)


class Hasty(Claims):
    """Claims of a worker that has looked at all others for an hour."""

    def __init__(self, folder, owner, lease_s):
        super().__init__(folder, owner, lease_s, clock=lambda: 1e6 * time.monotonic())


def batch(folder):
    request = BatchRequest((str(folder / "songs"),), folder / "out", output=RESIDUAL)
    Worker(request, Separator(Halves())).run()


def dataset(folder):
    """Two tracks of a made-up dataset."""
    out, content = folder / "set", {"request": {"songs": 2}}
    begin(out, "songs.json", content)
    for number in range(2):
        if read_facts(out / "train" / str(number)) is None:
            stems = {"drums": np.full((2, 100), 0.1 * number, np.float32)}
            write_track(out / "train" / str(number), stems, RATE, {"number": number}, "wav")
    finish(out, "songs.json", {**content, "licences": {}})


def separate(folder, output=RESIDUAL):
    return Separator(Halves()).separate_file(folder / "a.wav", folder / "out", output)


def contents(folder):
    """What is visible below a folder."""
    if not folder.exists():
        return {}
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not any(p.startswith(".") for p in path.relative_to(folder).parts)
    }


@pytest.mark.parametrize("earlier", [False, True])
def test_a_song_is_whole_or_as_it_was_and_done_by_the_next_run(tmp_path, earlier):
    before = tmp_path / "before"
    write_song(before / "a.wav")
    if earlier:  # other stems are there, under the same names
        separate(before, OutputSettings())
    for folder in die_and_repeat(separate, tmp_path):
        assert [path.name for path in (folder / "out").glob(".*")] == [".unbraid"]


def die_and_repeat(function, top):
    """Every file is whole or as it was, and a second call makes all; gives the folders."""
    old = contents(top / "before")
    left = leave_at_every_change(function, top)
    new = contents(top / "whole")
    assert len(left) > 10
    for folder in left:
        for name, content in contents(folder).items():
            if name.suffix == ".wav":
                assert content in (old.get(name), new.get(name)), (folder, name)
        function(folder)
        assert contents(folder) == new, folder
    return left


def test_the_tracks_of_a_dataset_are_whole_and_made_by_the_next_run(tmp_path):
    for folder in die_and_repeat(dataset, tmp_path):
        hidden = {path.name for path in (folder / "set").rglob(".*")}
        assert all(".songs.json." in name for name in hidden), hidden


@pytest.mark.slow
def test_a_batch_is_done_by_the_next_run(tmp_path, monkeypatch):
    write_song(tmp_path / "before" / "songs" / "a.wav")
    left = leave_at_every_change(batch, tmp_path)
    monkeypatch.setattr(worker, "Claims", Hasty)
    monkeypatch.setattr(worker, "LOOK_S", 0.001)
    stems = contents(tmp_path / "whole" / "out" / "a")
    for folder in left:
        for claim in folder.rglob("claims/*"):
            os.utime(claim, (0, 0))
        batch(folder)
        assert contents(folder / "out" / "a") == stems
        lines = Journal(folder / "out").lines()
        assert [entry.status for entry in lines][-1] in ("done", "skipped")
        assert not any((folder / "out" / ".unbraid" / "batch" / "claims").glob("[!t]*"))
