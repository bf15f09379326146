"""The WaveNet of Lluís et al. against the authors' Keras model."""

from __future__ import annotations

import pytest
import torch

from reference.classic import CASES, check, fill, learnable, noise
from unbraid.models.wavenet.config import WaveNetConfig
from unbraid.models.wavenet.network import WaveNet

SMALL = {"doublings": 3, "stacks": 2, "width": 8, "skip_width": 10, "final_widths": (20, 12)}


@pytest.mark.parametrize(
    ("case", "config", "samples"),
    [
        ("lluis_small_multi", WaveNetConfig(**SMALL), 101),
        pytest.param("lluis_default_multi", WaveNetConfig(), 1601, marks=pytest.mark.slow),
    ],
)
def test_the_network_computes_what_the_authors_does(case, config, samples):
    model = WaveNet(config)
    fill(model)
    assert learnable(model) == CASES[case]["params"]
    mixture = noise(1, 1, samples + 2 * config.reach)
    with torch.inference_mode():
        check(case, model.network(mixture, samples + 2)[:, :, 0], 3e-6)


def test_the_singing_voice_variant_computes_what_the_authors_does():
    config = WaveNetConfig(stems=("vocals", "accompaniment"), **SMALL)
    model = WaveNet(config)
    fill(model)
    assert learnable(model) == CASES["lluis_small_sing"]["params"]
    with torch.inference_mode():
        voice = model.network(noise(1, 1, 161), 103)[:, 0]
    check("lluis_small_sing", voice.expand(1, 2, 103))  # they give the same map twice


@pytest.mark.parametrize("samples", [1, 50, 1001])
def test_any_length_comes_back_and_adds_up(samples):
    model = WaveNet(WaveNetConfig(**SMALL, audio_channels=2)).eval()
    mixture = noise(2, 2, samples)
    with torch.inference_mode():
        estimates = model(mixture)
    assert estimates.shape == (2, 4, 2, samples)
    assert torch.allclose(estimates.sum(1), mixture, atol=1e-6)
