"""RoFormers in the kernels give what the readable forward gives."""

from __future__ import annotations

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
    peak_of,
    ready,
    use_vectors_of,
    vary,
    wanted_of,
)
from models.test_roformer import CASES, public_model
from reference.modern_systems import check_output, filled
from unbraid.engines.native.library import find, kernels
from unbraid.engines.native.roformer import NativeRoformer
from unbraid.engines.native.slices import EMPTY, Slices
from unbraid.models.roformer.config import BSRoformerConfig, MelBandRoformerConfig
from unbraid.models.roformer.network import BSRoformer, MelBandRoformer, Roformer

pytestmark = pytest.mark.skipif(find() is not None, reason=str(find()))

STFT: dict[str, Any] = {"n_fft": 256, "window": 256, "hop": 64}
SMALL: dict[str, Any] = {**STFT, "width": 16, "depth": 1, "heads": 2, "head_width": 8}
BS: dict[str, Any] = {**SMALL, "bands": (2, 2, 2, 4, 9, 30, 80)}
MEL: dict[str, Any] = {**SMALL, "mel_bands": 6}
CONFIGS: dict[str, dict[str, Any]] = {
    "side by side": {**BS, "depth": 2},
    "overlapping": MEL,
    "mono, two stems, skips": {
        **MEL, "audio_channels": 1, "stems": ("a", "b"), "skips": True, "depth": 3,
    },
    "norms after several layers": {**MEL, "time_layers": 2, "frequency_layers": 3},
    "odd width and heads": {**BS, "width": 25, "heads": 3, "head_width": 22},
    "wide heads": {**MEL, "heads": 1, "head_width": 70},
    "masks without hidden layers": {**BS, "mask_hidden_layers": 0, "silence_dc": False},
    "masks with three": {**MEL, "mask_hidden_layers": 3, "mask_growth": 1},
    "a short window, odd hop, normalized": {**BS, "window": 200, "hop": 53, "normalized": True},
}  # fmt: skip


def make_model(**settings: Any) -> Roformer:
    """With norms as different as those of a trained one."""
    torch.manual_seed(0)
    model: Roformer
    if "bands" in settings:
        model = BSRoformer(BSRoformerConfig(**settings)).eval()
    else:
        model = MelBandRoformer(MelBandRoformerConfig(**settings)).eval()
    vary(model, lambda name: name.endswith("gamma"))
    return model


def check(name: str) -> None:
    model = make_model(**CONFIGS[name])
    assert NativeRoformer.fits(model.config)
    # 47 frames and 32, at a hop of 64: a full panel, and others.
    check_memory(check_passes(model, (3_000, 2_047), most_db=-115), 3_000)


@pytest.mark.parametrize("name", CONFIGS)
def test_kernels_give_what_the_forward_gives(name: str) -> None:
    check(name)


@pytest.mark.parametrize("channels", [1, 2])
def test_memory_counts_waves_and_estimates(channels: int) -> None:
    settings = {"n_fft": 1024, "window": 1024, "hop": 512, "width": 4, "heads": 1}
    model = make_model(**{**MEL, **settings}, audio_channels=channels, stems=tuple("abcdef"))
    peak = peak_of(ready(model), make_song(300_000, channels))
    assert peak < NativeRoformer.memory_bytes(model.config, 300_000)


@pytest.mark.parametrize("name", ["side by side", "wide heads", "masks with three"])
def test_weights_in_pairs_or_not_give_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on the other kind of processor."""
    monkeypatch.setattr(kernels(), "pairs", not kernels().pairs)
    check(name)


@pytest.mark.parametrize("case", ["B1", "B3", "M1", "M3"])
def test_output_is_that_of_the_public_implementation(case: str) -> None:
    model = filled(public_model(*CASES[case]))
    run = ready(model, threads=2)
    check_output(case, lambda x: torch.from_numpy(run(x.numpy())), 2e-6)


@pytest.mark.parametrize("samples", [1, 63, 129, 3_000])
def test_any_length_will_do(samples: int) -> None:
    model = make_model(**MEL)
    song = make_song(samples)
    assert deviation_db(ready(model)(song), wanted_of(model, song)) < -110
    assert NativeRoformer.valid_samples(model.config, samples) == samples


@pytest.mark.parametrize("gain", [1e-6, 4.0])
def test_tokens_and_weights_of_unlike_sizes_lose_no_digits(gain: float) -> None:
    model = make_model(**BS)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("to_qkv.weight", "to_out.0.weight", "net.1.weight")):
                parameter.mul_(gain)
    song = make_song(3_000)
    assert deviation_db(ready(model)(song), wanted_of(model, song)) < -105


def test_a_loud_feature_does_not_drown_the_others() -> None:
    model = make_model(**{**BS, "width": 32})
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("gamma") and len(parameter) == 32:
                parameter[5] = 30.0
    song = make_song(3_000)
    assert deviation_db(ready(model)(song), wanted_of(model, song)) < -105


def test_bands_that_are_all_but_silent_are_nearer_to_float64_than_in_torch() -> None:
    """Their norms amplify what the transform rounds."""
    model = make_model(**BS)
    spectrum = np.fft.rfft(make_song(3_000).astype(float))
    spectrum[..., 200:] *= 1e-8
    song = np.fft.irfft(spectrum, 3_000).astype(np.float32)
    run, rounded = ready(model), wanted_of(model, song)
    with torch.no_grad():
        exact = model.double()(torch.from_numpy(song).double()).numpy()
    assert deviation_db(run(song), exact) < min(-100, deviation_db(rounded, exact))


def test_threads_batches_and_what_was_before_do_not_change_a_bit() -> None:
    check_bits(make_model(**MEL), make_song(3_000, batch=2), before=4_500)


def test_silence_stays_silence() -> None:
    assert not ready(make_model(**MEL))(np.zeros((1, 2, 3_000), np.float32)).any()


def test_weights_may_be_half_as_precise() -> None:
    check_half_precision(make_model(**BS), make_song(3_000))


@pytest.mark.parametrize("settings", [{"polar": True}, {"joint_layers": 1}, {"time_layers": 0}])
def test_a_model_that_the_kernels_do_not_run_is_left_to_torch(settings: dict[str, Any]) -> None:
    assert not NativeRoformer.fits(BSRoformerConfig(**{**BS, **settings}))
    assert NativeRoformer.fits(BSRoformerConfig())
    assert NativeRoformer.fits(MelBandRoformerConfig())


def test_slices_know_their_sums_and_fill_what_is_empty_with_zeros() -> None:
    weight = np.random.default_rng(0).standard_normal((7, 5), np.float32)
    order = [3, EMPTY, 6, 0]
    made = Slices(weight, order=order)
    rows = np.concatenate([weight[3:4], np.zeros((1, 5)), weight[[6, 0]]])
    assert np.allclose(made._products[:4], rows[:, 0] * rows[:, 1])  # of three, two are a pair
    assert made.size == pytest.approx(np.sqrt(np.square(rows).mean()))
    packed = made._packed.transpose(0, 2, 1).reshape(-1, 5)
    assert np.array_equal(packed[:4], rows.astype(np.float32))
    assert not packed[4:].any()


@pytest.mark.slow
@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_vectors_of_another_processor_give_the_same(
    lanes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = use_vectors_of(lanes, monkeypatch)
    for pairs in (True, False):
        monkeypatch.setattr(other, "pairs", pairs)
        for settings in CONFIGS.values():
            check_passes(make_model(**settings), [3_000], most_db=-115)
