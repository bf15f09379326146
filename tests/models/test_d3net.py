"""D3Net against its PyTorch port."""

from __future__ import annotations

import pytest
import torch

from reference.classic import CASES, check, fill, learnable, noise, value_of
from unbraid.models.d3net.config import D3NetConfig
from unbraid.models.d3net.network import D3Core, D3Net
from unbraid.models.d3net.public import public_name

SMALL = {
    "n_fft": 128, "hop": 32, "bins": 56, "split": 16, "norm_epsilon": 1e-12,
    "low_width": 8, "low_growths": (4, 6, 5), "low_depths": (3, 2, 2), "low_stages": 2,
    "rest_width": 4, "rest_growths": (2, 2, 2), "rest_depths": (1, 1, 1), "rest_stages": 1,
    "full_width": 6, "full_growths": (3, 4, 5, 4, 3), "full_depths": (2, 3, 4, 3, 2),
    "full_stages": 2, "final_growth": 6, "final_depth": 3,
}  # fmt: skip
DRUMS = {
    "split": 128, "low_depths": (5, 5, 5, 4, 4, 4, 4),
    "full_growths": (13, 14, 15, 16, 16, 16, 14, 12, 11),
    "full_depths": (4, 5, 6, 7, 8, 6, 6, 4, 4),
}  # fmt: skip
BASS = {
    "split": 192, "low_growths": (16, 18, 18, 20, 18, 16, 16),
    "rest_growths": (2,) * 7, "rest_depths": (1,) * 7,
    "full_growths": (10, 10, 12, 14, 16, 14, 12, 8, 8), "full_depths": (4, 5, 6, 7, 8, 6, 6, 4, 4),
}  # fmt: skip


@pytest.mark.parametrize(
    ("case", "config", "shape"),
    [
        ("d3net_small", D3NetConfig(**SMALL), (1, 2, 65, 24)),
        pytest.param(
            "d3net_nnabla_vocals", D3NetConfig(norm_epsilon=1e-12), (1, 2, 2049, 32),
            marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_the_network_computes_what_the_port_does(case, config, shape):
    core = D3Core(config)

    def value(key, shape):
        if key.startswith("scale"):
            return 1 + noise(*shape, gain=0.2, name=key)
        return value_of(key, shape)

    fill(core, public_name, value)
    assert learnable(core) == CASES[case]["params"]
    with torch.inference_mode():
        check(case, core(noise(*shape, gain=1.0).abs()), 2e-6)


@pytest.mark.parametrize(
    ("changes", "parameters"), [({}, 2_966_509), (DRUMS, 2_872_386), (BASS, 2_418_924)]
)
def test_published_networks_have_their_size(changes, parameters):
    assert learnable(D3Core(D3NetConfig(**changes))) == parameters


@pytest.mark.parametrize("samples", [1, 64, 1001])
def test_any_length_comes_back(samples):
    model = D3Net(D3NetConfig(**SMALL)).eval()
    with torch.inference_mode():
        estimates = model(noise(2, 2, samples))
    assert estimates.shape == (2, 4, 2, samples)
    assert estimates.isfinite().all()
