"""DPRNN-TasNet against asteroid 0.7.0."""

from __future__ import annotations

import pytest
import torch

from reference.classic import CASES, check, fill, learnable, noise
from unbraid.models.dprnn.config import DPRNNConfig
from unbraid.models.dprnn.network import DPRNN
from unbraid.models.dprnn.public import public_name

SMALL = {
    "stems": ("a", "b", "c"), "audio_channels": 1, "basis": 32, "width": 24, "hidden": 20,
    "chunk": 30, "hop": 15, "repeats": 2,
}  # fmt: skip
CONFIGS = {
    "asteroid_dprnn_small": (8003, DPRNNConfig(**SMALL)),
    "asteroid_dprnn_small_mulcat": (
        1003,
        DPRNNConfig(**SMALL | {"hop": 10, "multiply": True, "both_ways": False, "rnn": "gru",
                               "mask": "relu", "kernel": 2, "stride": 1})),
    "asteroid_dprnn_default2": (8000, DPRNNConfig(stems=("a", "b"), audio_channels=1)),
}  # fmt: skip


@pytest.mark.parametrize("case", CONFIGS)
def test_the_network_computes_what_the_authors_does(case):
    samples, config = CONFIGS[case]
    model = DPRNN(config)
    fill(model, lambda name: public_name(name, config))
    assert learnable(model) == CASES[case]["params"]
    with torch.inference_mode():
        check(case, model.network(noise(1, 1, samples))[:, :, 0])


def test_the_paper_s_finest_basis_has_the_published_size():
    config = DPRNNConfig(stems=("a", "b"), audio_channels=1, kernel=2, stride=1)
    assert learnable(DPRNN(config)) == 3_651_073


@pytest.mark.parametrize("samples", [1, 15, 30, 1234])
def test_any_length_comes_back(samples):
    model = DPRNN(DPRNNConfig(**SMALL | {"audio_channels": 2})).eval()
    with torch.inference_mode():
        assert model(noise(2, 2, samples)).shape == (2, 3, 2, samples)
    valid = model.valid_samples(samples)
    assert valid >= samples and model.valid_samples(valid) == valid
