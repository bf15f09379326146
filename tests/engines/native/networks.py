"""Networks in the kernels next to the readable forward of torch, whatever their architecture."""

from __future__ import annotations

import tempfile
import tracemalloc
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deviation import deviation_db
from unbraid.api import Separator
from unbraid.engines.native import build, library
from unbraid.engines.native.model import _network
from unbraid.engines.native.network import NativeNetwork
from unbraid.models.registry import architecture_of
from unbraid.zoo.checkpoint import save_checkpoint


def weights_of(model: torch.nn.Module) -> dict[str, np.ndarray]:
    """Weights by name, as the kernels take them."""
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}


def vary(model: torch.nn.Module, chosen: Callable[[str], bool]) -> None:
    """Make the chosen weights, by name, as different as those of a trained model."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if chosen(name):
                parameter.add_(0.1 * torch.randn_like(parameter))


def kernels_for(config: Any) -> type[NativeNetwork]:
    """What runs a model of this config in the kernels."""
    return _network(architecture_of(config))


def ready(model: Any, threads: int = 1) -> NativeNetwork:
    """A network of torch in the kernels."""
    return kernels_for(model.config)(model.config, weights_of(model), threads)


def wanted_of(model: torch.nn.Module, song: np.ndarray) -> np.ndarray:
    """What the readable forward gives."""
    with torch.no_grad():
        estimates: np.ndarray = model(torch.from_numpy(song)).numpy()
    return estimates


def make_song(samples: int, channels: int = 2, batch: int = 1, seed: int = 0) -> np.ndarray:
    """Noise (batch, channels, samples)."""
    rng = np.random.default_rng(seed)
    return (0.2 * rng.standard_normal((batch, channels, samples))).astype(np.float32)


def peak_of(run: NativeNetwork, song: np.ndarray) -> int:
    """The most bytes of arrays that are there at once in a pass."""
    tracemalloc.start()
    try:
        run(song)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def check_memory(run: NativeNetwork, samples: int) -> None:
    """All that the passes so far needed was there, and no more than a pass over so many says."""
    assert run._copies[0]._pool.missed == 0
    assert 4 * run._copies[0]._pool.floats <= run.memory_bytes(run.config, samples)


def check_passes(model: Any, lengths: Iterable[int], most_db: float = -110.0) -> NativeNetwork:
    """On two threads the kernels give what the readable forward gives of noise of these lengths.

    Returns the kernels.
    """
    run = ready(model, 2)
    for samples in lengths:
        song = make_song(samples, model.config.audio_channels)
        found, wanted = run(song), wanted_of(model, song)
        assert found.shape == wanted.shape
        assert deviation_db(found, wanted) < most_db, (model.config, samples)
    return run


def check_song(model: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole song comes out alike by the kernels and by torch."""
    save_checkpoint(folder / "model.safetensors", model)
    song, found = make_song(20_000)[0], {}
    for runtime, engine in (("native", "native kernels"), ("torch", "torch")):
        monkeypatch.setenv("UNBRAID_RUNTIME", runtime)
        separator = Separator(model=folder / "model.safetensors", device="cpu")
        assert engine in separator.model.engine
        stems = separator.separate(song, model.config.spec.sample_rate)
        found[runtime] = np.stack([np.asarray(stem) for stem in stems.values()])
    assert deviation_db(found["native"], found["torch"]) < -110


def check_half_precision(model: Any, song: np.ndarray) -> None:
    """Weights in float16 give the same as in float32, to the bit."""
    model = model.half().float()
    half = {name: array.astype(np.float16) for name, array in weights_of(model).items()}
    run = kernels_for(model.config)(model.config, half, 1)
    assert np.array_equal(run(song), ready(model)(song))


def check_bits(model: Any, songs: np.ndarray, before: int) -> None:
    """Threads, batches and what was separated before do not change a bit.

    Args:
        songs: at least two.
        before: samples of what was separated before, at least those of the songs.
    """
    alone = ready(model)(songs)
    for threads in (2, 3, 7):
        run = ready(model, threads)
        run(np.full((1, songs.shape[1], before), np.nan, np.float32))
        assert np.array_equal(run(songs), alone)
    for number in range(len(songs)):
        assert np.array_equal(run(songs[number : number + 1])[0], alone[number])


def use_vectors_of(lanes: int, monkeypatch: pytest.MonkeyPatch) -> library.Kernels:
    """Use kernels with vectors of so many floats.

    The compiler makes wider ones of narrower ones, so that any machine can try them all.
    """
    other = _compiled(lanes)
    if other is None:
        pytest.skip("no C++ compiler")
    assert other.lanes == lanes
    monkeypatch.setattr(library, "_open", lambda: other)
    return other


@cache  # which takes 20 seconds
def _compiled(lanes: int) -> library.Kernels | None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "kernels.so"
        options = ("-march=native", f"-DUNBRAID_LANES={lanes}", "-Wno-psabi")
        return library.Kernels(path) if build.compile_to(path, *options) else None
