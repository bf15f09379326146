"""ResUNetDecouple+ against bytesep 0.1.1."""

from __future__ import annotations

import pytest
import torch

from reference.classic import check, fill, learnable, noise
from unbraid.models.res_u_net.config import ResUNetConfig
from unbraid.models.res_u_net.network import ResUNet, modulus
from unbraid.models.res_u_net.public import public_name

SMALL = {"n_fft": 128, "hop": 32, "widths": (4, 6, 8), "time_levels": 2, "blocks": 1, "middle": 1}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "samples", "stems", "parameters"),
    [
        ("resunet143_1src", 16000, ("vocals",), 102_571_278),
        ("resunet143_4src", 9000, ("a", "b", "c", "d"), 102_572_070),
    ],
)
def test_the_network_computes_what_the_authors_does(case, samples, stems, parameters):
    model = ResUNet(ResUNetConfig(stems=stems, joint=True))
    fill(model, public_name)
    assert learnable(model) == parameters
    with torch.inference_mode():
        check(case, model(noise(1, 2, samples)).flatten(1, 2), 2e-6)


def test_magnitudes_are_the_authors_own():
    model = ResUNet(ResUNetConfig(stems=("a",), widths=(1,), time_levels=1, blocks=1))
    check("resunet143_mag", modulus(model.stft(noise(1, 2, 16000))).mT)


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("samples", [1, 64, 65, 1001])
def test_any_length_comes_back(samples, joint):
    model = ResUNet(ResUNetConfig(**SMALL, joint=joint)).eval()
    with torch.inference_mode():
        assert model(noise(2, 2, samples)).shape == (2, 4, 2, samples)
    assert model.valid_samples(samples) == samples


def test_silence_stays_finite_and_has_a_gradient():
    model = ResUNet(ResUNetConfig(**SMALL))
    estimates = model(torch.zeros(1, 2, 500))
    estimates.square().mean().backward()
    assert estimates.isfinite().all()
    assert all(weight.grad.isfinite().all() for weight in model.parameters())
