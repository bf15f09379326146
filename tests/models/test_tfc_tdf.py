"""TFC-TDF v3 against the public implementation, and its laws."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from reference.modern_systems import check_output, check_size, filled
from unbraid.errors import SettingsError
from unbraid.models.tfc_tdf.config import TFCTDFConfig
from unbraid.models.tfc_tdf.network import TFCTDF
from unbraid.models.tfc_tdf.public import to_config
from unbraid.models.tfc_tdf.weights import weight_shapes

AUDIO = {"n_fft": 1024, "hop_length": 256, "dim_f": 512, "num_channels": 2}
MODEL = {
    "act": "gelu", "norm": "InstanceNorm", "num_subbands": 4, "num_scales": 3, "scale": [2, 2],
    "num_blocks_per_scale": 2, "num_channels": 8, "growth": 4, "bottleneck_factor": 4,
}  # fmt: skip
CASES = {
    "D1": (2, AUDIO, MODEL),
    "D2": (
        1,
        {**AUDIO, "n_fft": 2048, "dim_f": 768},
        {
            **MODEL, "act": "elu1.0", "norm": "GroupNorm4", "num_subbands": 2, "growth": 8,
            "num_blocks_per_scale": 1, "bottleneck_factor": 2,
        },
    ),
    "D3": (6, AUDIO, {**MODEL, "act": "relu", "norm": "BatchNorm", "num_scales": 2}),
}  # fmt: skip
TINY = TFCTDFConfig(
    stems=("a", "b"), n_fft=64, hop=16, used_bins=32, subbands=2, width=4, growth=2, scales=2,
    blocks=1, bottleneck=2,
)  # fmt: skip


def public_model(stems, audio, model):
    names = tuple(f"stem {number}" for number in range(stems))
    return TFCTDF(TFCTDFConfig(stems=names, **to_config(audio, model)))


@pytest.mark.parametrize("case", CASES)
def test_output_is_that_of_the_public_implementation(case):
    model = public_model(*CASES[case])
    check_size(case, model)
    check_output(case, filled(model), 1e-6)


def test_published_models_have_their_published_sizes():
    large = {**MODEL, "num_scales": 5, "num_channels": 128, "growth": 128}
    with torch.device("meta"):
        voice = public_model(2, {**AUDIO, "n_fft": 8192, "hop_length": 1024, "dim_f": 4096}, large)
        drums = public_model(6, {**AUDIO, "n_fft": 2048, "hop_length": 512, "dim_f": 1024}, large)
    for model, parameters in ((voice, 111_990_272), (drums, 109_378_624)):
        assert len(model.state_dict()) == 319
        assert sum(weight.numel() for weight in model.parameters()) == parameters


@pytest.mark.parametrize("norm", ["instance", "batch", "group", "none"])
def test_weights_are_known_without_torch(norm):
    config = dataclasses.replace(TINY, norm=norm, norm_groups=2, stems=("a", "b", "c"), blocks=2)
    with torch.device("meta"):
        state = TFCTDF(config).state_dict()
    shapes = [(name, tuple(value.shape)) for name, value in state.items()]
    assert list(weight_shapes(config).items()) == shapes


@pytest.mark.parametrize("samples", [1, 47, 48, 49, 112, 1001])
def test_estimates_are_as_long_as_the_mixture(samples):
    model = TFCTDF(TINY).eval()
    valid = model.valid_samples(samples)
    assert valid >= samples
    assert (valid // 16 + 1) % 4 == 0
    assert model.valid_samples(valid) == valid
    with torch.inference_mode():
        assert model(torch.randn(2, 2, samples)).shape == (2, 2, 2, samples)


@pytest.mark.parametrize(
    ("key", "value"), [("norm", "LayerNorm"), ("norm", "GroupNormX"), ("act", "eluX")]
)
def test_an_unknown_norm_or_activation_is_named(key, value):
    with pytest.raises(SettingsError, match=value):
        to_config(AUDIO, {**MODEL, key: value})


@pytest.mark.parametrize(
    "wrong",
    [
        {"used_bins": 33}, {"used_bins": 36}, {"bottleneck": 100}, {"norm": "layer"},
        {"norm": "group", "norm_groups": 3}, {"scales": 13}, {"hop": 64},
    ],
)  # fmt: skip
def test_settings_that_make_no_model_are_refused(wrong):
    with pytest.raises(SettingsError):
        dataclasses.replace(TINY, **wrong)
