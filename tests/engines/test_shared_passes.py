"""Passes that songs share: always full, and the same estimates as alone."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from small_songs import LowHigh, noise, write_song
from unbraid import Separator
from unbraid.engines.arrays import ArrayModel
from unbraid.engines.shared_passes import SharedPasses
from unbraid.models.base import ModelSpec
from unbraid.tracks import run_settings


class Half(ArrayModel):
    """Halves of the mixture; a pass waits until `go` is set, and its size is noted."""

    spec = ModelSpec(("one", "two"), 100, 1, 10)

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.go = threading.Event()

    def separate(self, mixture: np.ndarray) -> np.ndarray:
        self.sizes.append(len(mixture))
        assert self.go.wait(60)
        if np.any(mixture == 99):
            raise RuntimeError("99")
        return np.stack([mixture / 2, mixture / 2], axis=1)


def rows(count: int, value: float = 1.0, samples: int = 10) -> np.ndarray:
    numbers = np.arange(count * samples, dtype=np.float32).reshape(count, 1, samples)
    return numbers * 0 + value + numbers / 1000


def together(shared: SharedPasses, model: Half, calls: list[np.ndarray]) -> list:
    """Make calls from threads of their own, while a first one holds the model."""
    with ThreadPoolExecutor(len(calls) + 1) as pool:
        first = pool.submit(shared, rows(4))
        while not model.sizes:
            time.sleep(0.001)
        futures = []
        for call in calls:
            futures.append(pool.submit(shared, call))
            while len(shared._waiting) < len(futures):
                time.sleep(0.001)
        model.go.set()
        first.result()
        return [future.exception() or future.result() for future in futures]


def test_rows_of_several_songs_fill_a_pass() -> None:
    model = Half()
    shared = SharedPasses(model, 4, 10)
    calls = [rows(3, 1), rows(2, 2), rows(2, 3)]
    for call, estimates in zip(calls, together(shared, model, calls), strict=True):
        np.testing.assert_array_equal(estimates, np.stack([call / 2, call / 2], axis=1))
    assert model.sizes == [4, 4, 4]  # 3 + 1, 1 + 2 and a silent one


def test_a_pass_of_a_lone_song_has_as_many_rows() -> None:
    model = Half()
    model.go.set()
    assert SharedPasses(model, 4, 10)(rows(1)).shape == (1, 2, 1, 10)
    assert model.sizes == [4]


def test_segments_of_another_length_run_as_they_are() -> None:
    model = Half()
    model.go.set()
    assert SharedPasses(model, 4, 10)(rows(3, samples=7)).shape == (3, 2, 1, 7)
    assert model.sizes == [3]


def test_a_song_that_fails_fails_alone() -> None:
    model = Half()
    bad, good = rows(1, 99, 10) * 0 + 99, rows(2, 2)
    failed, estimates = together(SharedPasses(model, 4, 10), model, [bad, good])
    assert isinstance(failed, RuntimeError)
    np.testing.assert_array_equal(estimates[:, 0], good / 2)


class Elsewhere(LowHigh):
    """A model that seems to compute elsewhere, and notes the passes that it has made."""

    def __init__(self) -> None:
        self.passes: list[tuple[int, int]] = []

    device, engine = "cpu:0", "a test"

    def __call__(self, mixture):
        self.passes.append((len(mixture), mixture.shape[-1]))
        return super().__call__(mixture)

    def take_back(self, estimates):
        pass

    def pass_bytes(self, samples):
        return 1

    def fingerprint(self):
        return "elsewhere"

    def narrow(self, stems):
        return self


@pytest.mark.parametrize("songs", [1, 4])
def test_songs_on_a_gpu_share_passes_and_have_the_stems_that_they_have_alone(
    songs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_settings, "free_gpu_bytes", lambda device: None)
    files = [write_song(tmp_path / f"{n}.wav", noise(1.6 + 0.3 * n, seed=n)) for n in range(songs)]
    model = Elsewhere()
    results = list(Separator(model, batch_size=4).separate_many(files, tmp_path / "all"))
    whole = [count for count, samples in model.passes if samples == 22050 + 62]
    assert set(whole) == {4}
    for file, result in zip(files, results, strict=True):
        alone = Separator(LowHigh()).separate_file(file, tmp_path / "alone")
        for stem, path in alone.outputs.items():
            assert path.read_bytes() == result.outputs[stem].read_bytes()
