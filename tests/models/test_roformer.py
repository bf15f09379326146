"""BS-RoFormer and Mel-Band RoFormer against the public implementation, and their laws."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from reference.modern_systems import VECTORS, check_output, filled
from unbraid.errors import SettingsError
from unbraid.models.roformer.bands import mel_bands
from unbraid.models.roformer.config import BSRoformerConfig, MelBandRoformerConfig
from unbraid.models.roformer.network import BSRoformer, MelBandRoformer
from unbraid.models.roformer.public import bs_config, mel_config

SMALL = {
    "dim": 16, "depth": 2, "heads": 2, "dim_head": 8, "time_transformer_depth": 1,
    "freq_transformer_depth": 1,
}  # fmt: skip
STEREO = {**SMALL, "stereo": True}
CASES = {
    "B1": ("bs", 2, {**STEREO, "mask_estimator_depth": 2}),
    "B2": (
        "bs",
        3,
        {
            **SMALL, "depth": 3, "time_transformer_depth": 2, "linear_transformer_depth": 1,
            "skip_connection": True, "mask_estimator_depth": 1, "mlp_expansion_factor": 2,
            "freqs_per_bands": [*[2] * 8, *[3] * 5, *[8] * 6, *[16] * 3, 2],
            "stft_n_fft": 256, "stft_win_length": 256, "stft_hop_length": 64, "zero_dc": False,
        },
    ),
    "B3": (
        "bs",
        1,
        {
            **STEREO, "dim": 24, "depth": 3, "mask_estimator_depth": 3, "mlp_expansion_factor": 1,
            "stft_hop_length": 441, "skip_connection": True,
        },
    ),
    "B4": ("bs", 1, {**STEREO, "mask_estimator_depth": 2, "use_pope": True}),
    "M1": ("mel", 1, {**STEREO, "mask_estimator_depth": 2, "stft_hop_length": 441}),
    "M2": (
        "mel",
        3,
        {
            **SMALL, "depth": 3, "num_bands": 24, "sample_rate": 16000, "stft_n_fft": 512,
            "stft_win_length": 512, "stft_hop_length": 128, "mask_estimator_depth": 1,
            "mlp_expansion_factor": 1, "skip_connection": True, "zero_dc": False,
            "linear_transformer_depth": 1, "time_transformer_depth": 2,
        },
    ),
    "M3": ("mel", 2, {**STEREO, "mask_estimator_depth": 3}),
}  # fmt: skip
TINY = {"width": 8, "depth": 1, "heads": 2, "head_width": 4, "n_fft": 64, "window": 64, "hop": 16}


def public_model(kind, stems, given):
    names = tuple(f"stem {number}" for number in range(stems))
    if kind == "bs":
        return BSRoformer(BSRoformerConfig(stems=names, **bs_config(given)))
    return MelBandRoformer(MelBandRoformerConfig(stems=names, **mel_config(given)))


def unique_weights(model):
    """Number of weights, counting what all layers of an axis share in public models once."""
    shared = {}
    for name, weight in model.state_dict().items():
        if name.endswith("inv_freqs"):
            continue  # no parameter there
        place = name.split(".")
        tail = ".".join(place[-2:])
        shared_by_axis = tail.startswith(("rotary_embed", "pope_embed"))
        shared[(place[2], tail) if shared_by_axis else name] = weight.numel()
    return sum(shared.values())


@pytest.mark.parametrize("case", CASES)
def test_output_is_that_of_the_public_implementation(case):
    kind, stems, given = CASES[case]
    model = public_model(kind, stems, given)
    assert len(model.state_dict()) == VECTORS[case]["keys"]
    assert unique_weights(model) == VECTORS[case]["parameters"]
    check_output(case, filled(model), 1e-6, model.config.audio_channels)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "stems", "given", "keys", "parameters"),
    [
        ("bs", 1, {"dim": 512, "depth": 12, "stft_hop_length": 441}, 699, 159_758_092),
        ("bs", 4, {"dim": 384, "depth": 8, "mlp_expansion_factor": 2}, 1355, 131_704_164),
        ("bs", 6, {"dim": 256, "depth": 12}, 1939, 174_656_564),
        ("mel", 1, {"dim": 384, "depth": 6, "mask_estimator_depth": 2}, 684, 228_202_852),
        ("mel", 2, {"dim": 384, "depth": 6, "mask_estimator_depth": 2}, 1044, 429_668_156),
        ("mel", 1, {"dim": 384, "depth": 12, "mask_estimator_depth": 3}, 948, 393_519_556),
    ],
)
def test_published_models_have_their_published_sizes(kind, stems, given, keys, parameters):
    axes = {"time_transformer_depth": 1, "freq_transformer_depth": 1, "stereo": True}
    with torch.device("meta"):
        model = public_model(kind, stems, {**given, **axes})
    assert len(model.state_dict()) == keys
    assert unique_weights(model) == parameters


@pytest.mark.parametrize(
    ("bands", "n_fft", "rate", "rows"), [(60, 2048, 44100, 1979), (24, 512, 16000, 500)]
)
def test_every_bin_is_in_one_or_two_mel_bands(bands, n_fft, rate, rows):
    split = mel_bands(bands, n_fft, rate)
    counts = [0] * (n_fft // 2 + 1)
    for first, count in split:
        for bin_ in range(first, first + count):
            counts[bin_] += 1
    assert set(counts) == {1, 2}
    if bands == 60:
        assert sum(counts) == rows


def test_more_mel_bands_than_bins_can_fill_are_refused():
    with pytest.raises(SettingsError, match="fewer bands"):
        MelBandRoformerConfig(mel_bands=300, n_fft=512, window=512, hop=128)


@pytest.mark.parametrize("samples", [1, 30, 16 * 20, 1001])
def test_estimates_are_as_long_as_the_mixture(samples):
    bs = BSRoformer(BSRoformerConfig(bands=(11, 11, 11), stems=("a", "b"), **TINY)).eval()
    mel = MelBandRoformer(MelBandRoformerConfig(mel_bands=4, stems=("a",), **TINY)).eval()
    with torch.inference_mode():
        assert bs(torch.randn(2, 2, samples)).shape == (2, 2, 2, samples)
        assert mel(torch.randn(2, 2, samples)).shape == (2, 1, 2, samples)


def test_silence_stays_silence():
    for silence_dc in (True, False):
        config = BSRoformerConfig(bands=(11, 11, 11), silence_dc=silence_dc, **TINY)
        with torch.inference_mode():
            assert not BSRoformer(config).eval()(torch.zeros(1, 2, 500)).any()


def test_estimates_grow_with_the_mixture():
    # Masks are made from tokens of unit length: the level of a song does not change them.
    model = MelBandRoformer(MelBandRoformerConfig(mel_bands=4, **TINY)).eval()
    mixture = torch.randn(1, 2, 500)
    with torch.inference_mode():
        torch.testing.assert_close(model(8 * mixture), 8 * model(mixture))


@pytest.mark.parametrize(
    "wrong",
    [
        {"bands": (2, 3)}, {"bands": (0, 1025)}, {"audio_channels": 3}, {"hop": 2048},
        {"window": 4096}, {"head_width": 3}, {"depth": 10**6}, {"stems": ("../a",)},
    ],
)  # fmt: skip
def test_settings_that_make_no_model_are_refused(wrong):
    with pytest.raises(SettingsError):
        dataclasses.replace(BSRoformerConfig(), **wrong)
