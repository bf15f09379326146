"""The kernels give what the readable forward gives, whatever the model, the length, the threads."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from small_composites import two_rate
from unbraid.engines.native import build, library
from unbraid.engines.native.hybrid import NativeHybridDemucs
from unbraid.engines.native.sheets import Pool
from unbraid.models.compose.two_rate import TwoRate
from unbraid.models.hybrid_demucs.network import HybridDemucs, HybridDemucsConfig

pytestmark = pytest.mark.skipif(library.find() is not None, reason=str(library.find()))

SMALL: dict[str, Any] = {"width": 8}
CONFIGS = {
    "plain": {},
    "odd width": {"width": 12, "lstm_from": 6, "attention_from": 6},
    "no residual branches": {"residual_encoder": False},
    "no LSTM": {"lstm_from": 6},
    "no attention": {"attention_from": 6},
    "branches that are not dilated": {"residual_depth": -2},
    "three branches": {"residual_depth": 3},
    "wide branches": {"residual_compression": 2},
    "no norm": {"norm_from": 6},
    "norms outside the core": {"norm_from": 1},
    "norms from level two": {"norm_from": 2, "width": 16},
    "no embedding": {"embedding_weight": 0},
    "time branch of its own width": {"time_width": 16},
    "two stems": {"stems": ("vocals", "rest")},
    "three stems, mono": {"stems": ("a", "b", "c"), "audio_channels": 1},
    "short frames": {"n_fft": 1024, "depth": 5},
    "nothing shared": {"depth": 5, "norm_from": 5},
    "late spectral branch": {"delayed_stft": True},
    "magnitudes": {"magnitude": True},
    "magnitudes, by division": {
        "magnitude": True,
        "wiener_iterations": -1,
        "wiener_training_iterations": -1,
    },
    "late magnitudes, mono": {"magnitude": True, "delayed_stft": True, "audio_channels": 1},
    "two shared levels": {"depth": 7, "width": 4, "lstm_from": 7},
}


def make_model(**settings: Any) -> HybridDemucs:
    """With scales as large and norms as different as those of a trained one."""
    torch.manual_seed(0)
    model = HybridDemucs(HybridDemucsConfig(**{**SMALL, **settings})).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("scale.scale"):
                parameter.uniform_(0.05, 0.3)
            elif "norm" in name:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def weights_of(model: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}


def make_song(samples: int, channels: int = 2, batch: int = 1, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.2 * rng.standard_normal((batch, channels, samples))).astype(np.float32)


def peak_of(run: Any, song: np.ndarray) -> int:
    """The most bytes of arrays that are there at once in a pass."""
    tracemalloc.start()
    try:
        run(song)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def deviation_db(found: np.ndarray, wanted: np.ndarray) -> float:
    error = np.square(found - wanted, dtype=np.float64).sum()
    return float(10 * np.log10(error / np.square(wanted, dtype=np.float64).sum() + 1e-30))


def both(model: HybridDemucs, song: np.ndarray, threads: int = 1) -> tuple[np.ndarray, np.ndarray]:
    with torch.no_grad():
        wanted = model(torch.from_numpy(song)).numpy()
    return NativeHybridDemucs(model.config, weights_of(model), threads)(song), wanted


@pytest.mark.parametrize("name", CONFIGS)
def test_kernels_give_what_the_forward_gives(name: str) -> None:
    model = make_model(**CONFIGS[name])
    assert NativeHybridDemucs.fits(model.config)
    found, wanted = both(model, make_song(20_000, model.config.audio_channels))
    assert found.shape == wanted.shape
    assert deviation_db(found, wanted) < -110


@pytest.mark.parametrize("samples", [1, 2, 700, 1024, 1025, 4095, 30_001])
def test_any_length_will_do(samples: int) -> None:
    found, wanted = both(make_model(), make_song(samples))
    assert deviation_db(found, wanted) < -100


@pytest.mark.parametrize("settings", [{"delayed_stft": True}, {"magnitude": True}])
@pytest.mark.parametrize("samples", [1, 700, 1025])
def test_any_length_will_do_for_other_ends_too(samples: int, settings: dict[str, Any]) -> None:
    found, wanted = both(make_model(**settings), make_song(samples))
    assert deviation_db(found, wanted) < -100


@pytest.mark.parametrize("samples", [1, 1025, 9_001])
def test_wide_models_compute_pairs_and_mix_late(samples: int) -> None:
    found, wanted = both(make_model(width=24), make_song(samples))
    assert deviation_db(found, wanted) < -100


def test_a_long_song_goes_through_the_lstm_in_spans() -> None:
    model = make_model()
    found, wanted = both(model, make_song(1024 * 430))  # three spans and a part of one
    assert deviation_db(found, wanted) < -110


def test_songs_of_a_batch_do_not_meet() -> None:
    model = make_model()
    run = NativeHybridDemucs(model.config, weights_of(model), 1)
    songs = make_song(20_000, batch=3)
    together = run(songs)
    for number in range(3):
        assert np.array_equal(together[number], run(songs[number : number + 1])[0])


def test_the_number_of_threads_does_not_change_a_bit() -> None:
    model = make_model()
    song = make_song(60_000)
    alone = NativeHybridDemucs(model.config, weights_of(model), 1)(song)
    for threads in (2, 3, 7):
        other = NativeHybridDemucs(model.config, weights_of(model), threads)(song)
        assert np.array_equal(alone, other)


def test_what_was_separated_before_does_not_matter() -> None:
    model = make_model()
    run = NativeHybridDemucs(model.config, weights_of(model), 2)
    song = make_song(30_000)
    first = run(song)
    run(np.full((1, 2, 90_000), np.nan, np.float32))
    assert np.array_equal(first, run(song))


def test_silence_is_separated_like_anything_else() -> None:
    model = make_model()
    found, wanted = both(model, np.zeros((1, 2, 20_000), np.float32))
    assert np.abs(found - wanted).max() < 1e-6


@pytest.mark.parametrize("width", [8, 16])  # from 16 on some stay so when they are packed
def test_weights_may_be_half_as_precise(width: int) -> None:
    model = make_model(width=width).half().float()
    half = {name: array.astype(np.float16) for name, array in weights_of(model).items()}
    song = make_song(20_000)
    assert np.array_equal(
        NativeHybridDemucs(model.config, half, 1)(song),
        NativeHybridDemucs(model.config, weights_of(model), 1)(song),
    )


@pytest.mark.slow
def test_two_models_at_two_rates_give_what_the_forward_gives() -> None:
    model = two_rate(width=8, low_width=24, norm_from=1)
    parts = {
        name: NativeHybridDemucs(part.config, weights_of(part), 2)
        for name, part in model.members.items()
    }
    run = TwoRate(model.config, parts)
    for samples in (30_011, 2):
        song = make_song(samples, batch=2)
        with torch.no_grad():
            assert deviation_db(run(song), model(torch.from_numpy(song)).numpy()) < -100


@pytest.mark.parametrize("samples", [1, 10_000, 200_000])
@pytest.mark.parametrize(
    "settings",
    [{}, {"width": 24}, {"norm_from": 1}, {"n_fft": 1024, "depth": 5}, {"magnitude": True}],
)
def test_memory_is_what_was_said(samples: int, settings: dict[str, Any]) -> None:
    model = make_model(**settings)
    run = NativeHybridDemucs(model.config, weights_of(model), 2)
    run(make_song(samples))
    pool: Pool = run._pool
    assert pool.missed == 0
    assert 4 * pool.floats <= NativeHybridDemucs.memory_bytes(model.config, samples)


@pytest.mark.parametrize(
    "settings",
    [
        {"magnitude": True, "wiener_iterations": 1, "wiener_training_iterations": 1},
        {"residual_decoder": True},
        {"n_fft": 16, "depth": 2},  # its branches meet at once
        {"norm_from": 0},
        {"encoder_context": 1},
        {"decoder_context": 0},
        {"gate": False},
        {"lstm_from": 2},
        {"band_splits": (0.3,), "band_split_levels": 1},
    ],
)
def test_a_model_that_the_kernels_do_not_run_is_left_to_torch(settings: dict[str, Any]) -> None:
    assert not NativeHybridDemucs.fits(HybridDemucsConfig(**settings))


@pytest.mark.slow
@pytest.mark.parametrize("lanes", [4, 16])
def test_vectors_of_another_processor_give_the_same(
    lanes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The compiler makes wider vectors of narrower ones, so that any machine can try them all."""
    path = tmp_path / "kernels.so"
    if not build.compile_to(path, "-march=native", f"-DUNBRAID_LANES={lanes}", "-Wno-psabi"):
        pytest.skip("no C++ compiler")
    other = library.Kernels(path)
    assert other.lanes == lanes
    monkeypatch.setattr(library, "_open", lambda: other)
    for settings in CONFIGS.values():
        model = make_model(**settings)
        found, wanted = both(model, make_song(30_000, model.config.audio_channels), threads=2)
        assert deviation_db(found, wanted) < -110
    found, wanted = both(make_model(), make_song(1024 * 230))
    assert deviation_db(found, wanted) < -110


def test_a_library_built_from_other_sources_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "fingerprint", lambda: "0" * 16)
    library._open.cache_clear()
    try:
        assert "other sources" in str(library.find())
        with pytest.raises(OSError, match="install unbraid again"):
            library.kernels()
    finally:
        library._open.cache_clear()


def test_without_a_compiler_nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "compiler", lambda: None)
    assert build.build() == []


def test_a_processor_without_its_instructions_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    if set(build.FLAVOURS.get("x86_64", {})) - {"base"} and library.kernels().lanes == 4:
        pytest.skip("kernels of this machine ask for nothing special")
    monkeypatch.setattr(library, "_processor_features", lambda: {"sse2"})
    library._open.cache_clear()
    try:
        assert "AVX2" in str(library.find())
    finally:
        library._open.cache_clear()


def test_memory_that_is_given_is_written_to_and_changes_nothing() -> None:
    model, song = make_model(), make_song(9_000)
    run = NativeHybridDemucs(model.config, weights_of(model), 1)
    wanted = run(song)
    memory = np.full(wanted.size + 7, np.nan, np.float32)
    found = run(song, memory)
    assert np.array_equal(found, wanted) and np.shares_memory(found, memory)
    assert not np.shares_memory(run(song, memory[:5]), memory)  # too little: fresh memory


def test_what_a_pass_gave_stays_what_it_is_while_somebody_has_it() -> None:
    model = make_model()
    run = NativeHybridDemucs(model.config, weights_of(model), 1)
    first = run(make_song(9_000))
    kept = first.copy()
    run(-make_song(9_000))
    assert np.array_equal(first, kept)
