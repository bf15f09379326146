"""SCNet against the public implementations, and its laws."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from reference.modern_systems import check_output, check_size, filled
from unbraid.errors import SettingsError
from unbraid.models.scnet.config import SCNetConfig
from unbraid.models.scnet.network import SCNet
from unbraid.models.scnet.public import to_config

SMALL = {"dims": [4, 8, 16, 32], "num_dplayer": 2}
CASES = {
    "C1": SMALL,
    "C2": {
        **SMALL, "num_dplayer": 4, "band_SR": [0.23, 0.37, 0.4], "expand": 2, "compress": 2,
        "conv_depths": [2, 2, 1],
    },
    "C3": SMALL,
    "C4": {
        **SMALL, "nfft": 2048, "win_size": 2048, "hop_size": 512, "normalized": False,
        "band_stride": [1, 2, 8], "band_kernel": [3, 2, 8], "conv_kernel": 5,
    },
}  # fmt: skip
LARGE = {"dims": [4, 64, 128, 256], "band_SR": [0.23, 0.37, 0.4], "num_dplayer": 8}
TINY = SCNetConfig(
    stems=("a", "b"), widths=(4, 4, 8), n_fft=256, window=256, hop=64, dual_paths=2,
    band_shares=(0.3, 0.3, 0.4), band_strides=(1, 2, 4), band_kernels=(3, 2, 4),
)  # fmt: skip


def public_model(case, given):
    stems = ("a", "b", "vocals") if case == "C3" else ("drums", "bass", "other", "vocals")
    config = SCNetConfig(stems=stems, **to_config(given, masks=case == "C3"))
    return SCNet(dataclasses.replace(config, standardize=case == "C1"))


@pytest.mark.parametrize("case", CASES)
def test_output_is_that_of_the_public_implementation(case):
    model = public_model(case, CASES[case])
    check_size(case, model)
    check_output(case, filled(model), 1e-6)


@pytest.mark.parametrize(
    ("given", "keys", "parameters"),
    [
        ({}, 372, 10_578_768),
        ({**LARGE, "band_SR": [0.225, 0.372, 0.403], "num_dplayer": 6}, 372, 42_181_232),
        (LARGE, 420, 54_006_896),
        (
            {**LARGE, "band_stride": [1, 4, 4], "band_kernel": [3, 4, 4], "conv_depths": [3] * 3},
            510,
            53_466_800,
        ),
    ],
)
def test_published_models_have_their_published_sizes(given, keys, parameters):
    with torch.device("meta"):
        model = public_model("", given)
    assert len(model.state_dict()) == keys
    assert sum(weight.numel() for weight in model.parameters()) == parameters


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("samples", [1, 100, 64, 128, 1001])
def test_estimates_are_as_long_as_the_mixture(samples, masks):
    model = SCNet(dataclasses.replace(TINY, masks=masks)).eval()
    with torch.inference_mode():
        assert model(torch.randn(2, 2, samples)).shape == (2, 2, 2, samples)


def test_spectrograms_brought_to_one_level_make_estimates_grow_with_the_mixture():
    model = SCNet(dataclasses.replace(TINY, standardize=True)).eval()
    mixture = torch.randn(1, 2, 1000)
    with torch.inference_mode():
        torch.testing.assert_close(model(8 * mixture), 8 * model(mixture), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [
        {"dual_paths": 3}, {"widths": (2, 8)}, {"widths": (4,)}, {"band_shares": (1.0, 0.0, 0.0)},
        {"band_strides": (1, 4)}, {"conv_kernel": 4}, {"hop": 4096}, {"band_kernels": (3, 2, 16)},
        {"expansion": 10**9},
    ],
)  # fmt: skip
def test_settings_that_make_no_model_are_refused(wrong):
    with pytest.raises(SettingsError):
        dataclasses.replace(SCNetConfig(), **wrong)
