"""Demucs v1 and v2 against PyPI demucs 2.0.3 and the repository's version 1."""

from __future__ import annotations

import pytest
import torch

from reference.classic import CASES, check, fill, learnable, noise
from unbraid.models.demucs_v2.config import DemucsV2Config
from unbraid.models.demucs_v2.network import DemucsV2
from unbraid.models.demucs_v2.public import public_name

SIZES = {
    "demucs2_16ch": (35498, DemucsV2Config(width=16)),
    "demucs2_16ch_norm_nores": (42324, DemucsV2Config(width=16, normalize=True, resample=False)),
    "demucs2_norewrite_relu": (
        31402, DemucsV2Config(width=16, gated=False, lstm_layers=0, context=1)),
    "demucs2_default": (66218, DemucsV2Config()),
    "demucs1_16ch": (42324, DemucsV2Config(width=16, resample=False, epsilon=0.0)),
}  # fmt: skip


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=pytest.mark.slow if "default" in case else ()) for case in SIZES],
)
def test_the_network_computes_what_the_authors_does(case):
    samples, config = SIZES[case]
    model = DemucsV2(config)
    fill(model, public_name)
    assert learnable(model) == CASES[case]["params"]
    with torch.inference_mode():
        check(case, model.network(noise(1, 2, samples)))


@pytest.mark.parametrize(
    ("samples", "v2", "v1"),
    [(1, 8874, 17748), (44100, 49834, 58708), (441000, 447146, 451924), (485100, 492202, None)],
)
def test_the_network_takes_the_published_lengths(samples, v2, v1):
    assert DemucsV2(DemucsV2Config(width=1)).input_samples(samples) == v2
    if v1 is not None and samples > 1:
        early = DemucsV2(DemucsV2Config(width=1, resample=False, epsilon=0.0))
        assert early.input_samples(samples) == v1


@pytest.mark.parametrize("samples", [1, 7, 1000, 30001])
def test_any_length_comes_back(samples):
    model = DemucsV2(DemucsV2Config(width=2)).eval()
    with torch.inference_mode():
        assert model(noise(2, 2, samples)).shape == (2, 4, 2, samples)
    valid = model.valid_samples(samples)
    assert valid >= samples and model.valid_samples(valid) == valid
    assert model.input_samples(valid) == model.input_samples(samples)
