"""SCNet in the kernels gives what the readable forward gives."""

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
    check_song,
    make_song,
    peak_of,
    ready,
    use_vectors_of,
    vary,
    wanted_of,
    weights_of,
)
from models.test_scnet import CASES, public_model
from reference.modern_systems import check_output, filled
from unbraid.engines.native import library
from unbraid.engines.native.paths import SideBySide
from unbraid.engines.native.scnet import NativeSCNet
from unbraid.engines.native.weights import Weights
from unbraid.models.scnet.network import SCNet, SCNetConfig

pytestmark = pytest.mark.skipif(library.find() is not None, reason=str(library.find()))

SMALL: dict[str, Any] = {
    "widths": (4, 8, 16), "n_fft": 1024, "window": 1024, "hop": 256, "dual_paths": 2,
}  # fmt: skip
CONFIGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "as published, narrow": {
        "widths": (4, 8, 16, 32), "n_fft": 4096, "window": 4096, "hop": 1024, "dual_paths": 4,
    },
    "standardized": {"standardize": True, "normalized": False},
    "odd widths, three stems, mono": {
        "audio_channels": 1, "stems": ("a", "b", "c"), "widths": (2, 6, 18, 48),
    },
    "other bands": {
        "band_shares": (0.23, 0.37, 0.4), "band_strides": (1, 2, 8), "band_kernels": (5, 2, 8),
        "band_depths": (2, 0, 3), "compression": 1.5, "conv_kernel": 5,
    },
    "many taps": {"band_strides": (1, 4, 20), "band_kernels": (11, 4, 20)},
    "masks": {"masks": True, "stems": ("a", "b", "c")},
    "standardized masks, mono": {
        "masks": True, "standardize": True, "audio_channels": 1, "widths": (2, 8, 16),
    },
    "no layers between": {"dual_paths": 0},
}  # fmt: skip


def make_model(**settings: Any) -> SCNet:
    """With norms as different as those of a trained one."""
    torch.manual_seed(0)
    model = SCNet(SCNetConfig(**{**SMALL, **settings})).eval()
    vary(model, lambda name: "norm" in name or name.endswith((".0.weight", ".4.weight")))
    if model.config.masks:
        torch.nn.init.normal_(model.pos_embed_f)
    return model


@pytest.mark.parametrize("name", CONFIGS)
def test_kernels_give_what_the_forward_gives(name: str) -> None:
    model = make_model(**CONFIGS[name])
    assert NativeSCNet.fits(model.config)
    check_memory(check_passes(model, (20_000, 9_001), most_db=-115), 20_000)


def test_memory_counts_waves_and_estimates() -> None:
    model = make_model(widths=(4, 16), dual_paths=0, stems=tuple("abcdefgh"))
    peak = peak_of(ready(model), make_song(300_000))
    assert peak < NativeSCNet.memory_bytes(model.config, 300_000)


@pytest.mark.parametrize("case", ["C1", "C3"])  # the others are not for the kernels
def test_output_is_that_of_the_public_implementation(case: str) -> None:
    model = filled(public_model(case, CASES[case]))
    run = ready(model)
    check_output(case, lambda song: torch.from_numpy(run(song.numpy())), 1e-6)


def test_a_whole_song_is_the_same_by_kernels_and_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_song(make_model(segment_s=0.3), tmp_path, monkeypatch)


@pytest.mark.slow
def test_a_model_of_published_size_gives_what_the_forward_gives() -> None:
    torch.manual_seed(0)
    check_passes(SCNet(SCNetConfig()).eval(), [485_100])


@pytest.mark.parametrize("samples", [1, 2, 255, 256, 700, 1023, 1025, 30_001])
def test_any_length_will_do(samples: int) -> None:
    song = make_song(samples)
    for settings in ({}, {"masks": True}):
        model = make_model(**settings)
        found, wanted = ready(model)(song), wanted_of(model, song)
        assert found.shape == wanted.shape
        assert deviation_db(found, wanted) < -105


def test_threads_batches_and_what_was_before_do_not_change_a_bit() -> None:
    check_bits(make_model(widths=(4, 8, 32)), make_song(20_000, batch=2), before=30_000)


def test_silence_is_separated_like_anything_else() -> None:
    song = np.zeros((1, 2, 9_000), np.float32)
    for settings in ({}, {"standardize": True}):
        model = make_model(**settings)
        assert np.abs(ready(model)(song) - wanted_of(model, song)).max() < 1e-6


def test_weights_may_be_half_as_precise() -> None:
    check_half_precision(make_model(widths=(4, 8, 256)), make_song(2_000))


@pytest.mark.parametrize(("sequences", "steps"), [(1, 1), (2, 5), (25, 4), (57, 3), (131, 2)])
def test_sequences_side_by_side_go_through_the_lstm_as_one_by_one(
    sequences: int, steps: int
) -> None:
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(32, 32, batch_first=True, bidirectional=True)
    x = 2 * torch.randn(sequences, steps, 32)
    gain, shift = torch.rand(32) + 0.5, torch.randn(32)
    with torch.no_grad():
        wanted = lstm(x * gain + shift)[0].numpy()
    run, found = SideBySide(Weights(weights_of(lstm))), np.empty_like(wanted)
    run(x.numpy(), gain.numpy(), shift.numpy(), found, threads=3)
    assert deviation_db(found, wanted) < -115


def test_gates_that_are_far_open_or_shut_stay_finite() -> None:
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(16, 16, batch_first=True, bidirectional=True)
    x = 1e4 * torch.randn(3, 9, 16)
    with torch.no_grad():
        wanted = lstm(x)[0].numpy()
    found = np.empty_like(wanted)
    same, none = np.ones(16, np.float32), np.zeros(16, np.float32)
    SideBySide(Weights(weights_of(lstm)))(x.numpy(), same, none, found, threads=1)
    assert np.abs(found - wanted).max() < 1e-2  # sums of 1e4 are no more exact than that


@pytest.mark.parametrize("steps", [2, 4, 6, 22, 74, 476])
def test_fourier_transforms_of_any_even_length_go_there_and_back(steps: int) -> None:
    x = np.random.default_rng(0).standard_normal((3, steps, 21), np.float32)
    z = np.empty((3, steps // 2 + 1, 42), np.float32)
    back = np.empty_like(x)
    sizes = (3, steps, 21, 2)
    library.kernels().to_fourier(library.pointer(x), library.pointer(z), *sizes)
    library.kernels().from_fourier(library.pointer(z), library.pointer(back), *sizes)
    wanted = np.fft.rfft(x.astype(np.float64), axis=1, norm="ortho")
    assert deviation_db(z, np.concatenate([wanted.real, wanted.imag], axis=2)) < -125
    assert deviation_db(back, x) < -125


@pytest.mark.slow
@pytest.mark.parametrize("lanes", [4, 16])
def test_vectors_of_another_processor_give_the_same(
    lanes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_vectors_of(lanes, monkeypatch)
    for settings in CONFIGS.values():
        check_passes(make_model(**settings), [9_001])


@pytest.mark.parametrize(
    "settings",
    [
        {"expansion": 2},
        {"n_fft": 2048, "window": 2048, "hop": 512},
        {"hop": 512},
        {"window": 2048},
        {"widths": (4, 8, 24)},
        {"widths": (4, 7, 16)},
    ],
)
def test_a_model_that_the_kernels_do_not_run_is_left_to_torch(settings: dict[str, Any]) -> None:
    assert not NativeSCNet.fits(SCNetConfig(**settings))
