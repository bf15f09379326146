"""Killed before any change of the disk, nothing is lost, and the same again comes to its end."""

from __future__ import annotations

import os

import numpy as np
import pytest
import soundfile

from deaths import leave_at_every_change
from unbraid import OutputSettings, Separator
from unbraid.models.base import ModelSpec

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


def separate(folder, output=RESIDUAL):
    return Separator(Halves()).separate_file(folder / "a.wav", folder / "out", output)


def contents(folder):
    """What is visible below a folder."""
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
    old = contents(before)
    left = leave_at_every_change(separate, tmp_path)
    new = contents(tmp_path / "whole")
    assert len(left) > 10
    for folder in left:
        for name, content in contents(folder).items():
            assert content in (old.get(name), new.get(name)), (folder, name)
        assert separate(folder).status == "done"
        assert contents(folder) == new
        assert [path.name for path in (folder / "out").glob(".*")] == [".unbraid"]
