"""The kernels give what the readable forward gives, whatever the model, the length, the threads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deviation import deviation_db
from engines.native.networks import (
    check_bits,
    check_half_precision,
    check_memory,
    check_passes,
    make_song,
    ready,
    use_vectors_of,
    vary,
    wanted_of,
)
from small_composites import two_rate
from unbraid.engines.native import build, library
from unbraid.engines.native.hybrid import NativeHybridDemucs
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
    vary(model, lambda name: "norm" in name and not name.endswith("scale.scale"))
    return model


def both(model: HybridDemucs, song: np.ndarray, threads: int = 1) -> tuple[np.ndarray, np.ndarray]:
    return ready(model, threads)(song), wanted_of(model, song)


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


def test_threads_batches_and_what_was_before_do_not_change_a_bit() -> None:
    check_bits(make_model(), make_song(30_000, batch=3), before=90_000)


def test_silence_is_separated_like_anything_else() -> None:
    model = make_model()
    found, wanted = both(model, np.zeros((1, 2, 20_000), np.float32))
    assert np.abs(found - wanted).max() < 1e-6


@pytest.mark.parametrize("width", [8, 16])  # from 16 on some stay so when they are packed
def test_weights_may_be_half_as_precise(width: int) -> None:
    check_half_precision(make_model(width=width), make_song(20_000))


@pytest.mark.slow
def test_two_models_at_two_rates_give_what_the_forward_gives() -> None:
    model = two_rate(width=8, low_width=24, norm_from=1)
    parts = {name: ready(part, 2) for name, part in model.members.items()}
    run = TwoRate(model.config, parts)
    for samples in (30_011, 2):
        song = make_song(samples, batch=2)
        assert deviation_db(run(song), wanted_of(model, song)) < -100


@pytest.mark.parametrize("samples", [1, 10_000, 200_000])
@pytest.mark.parametrize(
    "settings",
    [{}, {"width": 24}, {"norm_from": 1}, {"n_fft": 1024, "depth": 5}, {"magnitude": True}],
)
def test_memory_is_what_was_said(samples: int, settings: dict[str, Any]) -> None:
    run = ready(make_model(**settings), threads=2)
    run(make_song(samples))
    check_memory(run, samples)


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
    lanes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_vectors_of(lanes, monkeypatch)
    for settings in CONFIGS.values():
        check_passes(make_model(**settings), [30_000])
    check_passes(make_model(), [1024 * 230])


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
    run = ready(model)
    wanted = run(song)
    memory = np.full(wanted.size + 7, np.nan, np.float32)
    found = run(song, memory)
    assert np.array_equal(found, wanted) and np.shares_memory(found, memory)
    assert not np.shares_memory(run(song, memory[:5]), memory)  # too little: fresh memory


def test_what_a_pass_gave_stays_what_it_is_while_somebody_has_it() -> None:
    model = make_model()
    run = ready(model)
    first = run(make_song(9_000))
    kept = first.copy()
    run(-make_song(9_000))
    assert np.array_equal(first, kept)
