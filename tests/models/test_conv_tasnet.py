"""Conv-TasNet against PyPI demucs 2.0.3 (music) and asteroid 0.7.0 (speech)."""

from __future__ import annotations

import pytest
import torch

from reference.classic import CASES, check, fill, learnable, noise, value_of
from unbraid.models.conv_tasnet.config import ConvTasNetConfig
from unbraid.models.conv_tasnet.network import ConvTasNet
from unbraid.models.conv_tasnet.public import public_name

SMALL = {"basis": 32, "width": 24, "hidden": 40, "blocks": 4, "repeats": 2}
SPEECH = {
    "audio_channels": 1, "kernel": 16, "stride": 8, "bias": True, "rectified": False,
    "input_norm": "global", "mask_slope": True, "mask": "sigmoid", "skip_width": 28,
}  # fmt: skip
THREE = {"stems": ("a", "b", "c"), **SMALL, **SPEECH}
CONFIGS = {
    "tasnet_small": (8003, ConvTasNetConfig(**SMALL)),
    "tasnet_small_causal": (
        8003, ConvTasNetConfig(**SMALL, causal=True, norm="frame", mask="softmax")),
    "tasnet_music": (8820, ConvTasNetConfig()),
    "asteroid_convtasnet_small": (8003, ConvTasNetConfig(**THREE)),
    "asteroid_convtasnet_noskip": (
        8003, ConvTasNetConfig(**THREE | {"skip_width": 0, "mask": "relu", "rectified": True})),
    "asteroid_convtasnet_causal": (
        8003,
        ConvTasNetConfig(**THREE | {"causal": True, "norm": "cumulative",
                                    "input_norm": "cumulative", "mask": "softmax"})),
    "asteroid_convtasnet_default2": (
        16000,
        ConvTasNetConfig(**SPEECH | {"stems": ("a", "b"), "skip_width": 128, "basis": 512,
                                     "width": 128, "blocks": 8, "repeats": 3})),
}  # fmt: skip

LARGE = ("tasnet_music", "asteroid_convtasnet_default2")


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=pytest.mark.slow) if c in LARGE else c for c in CONFIGS]
)
def test_the_network_computes_what_the_authors_does(case):
    samples, config = CONFIGS[case]
    model = ConvTasNet(config)

    def values(name, shape):
        if name == "decoder.basis_signals.weight":  # (channels * kernel, basis) there
            basis, channels, kernel = shape
            return value_of(name, (channels * kernel, basis)).T.reshape(shape)
        return value_of(name, shape)

    fill(model, lambda name: public_name(name, config), values)
    assert learnable(model) == CASES[case]["params"]
    with torch.inference_mode():
        estimates = model.network(noise(1, config.audio_channels, samples))
    check(case, estimates if case.startswith("tasnet") else estimates[:, :, 0])


@pytest.mark.parametrize("samples", [1, 19, 30, 1234])
def test_any_length_comes_back(samples):
    model = ConvTasNet(ConvTasNetConfig(**SMALL)).eval()
    with torch.inference_mode():
        estimates = model(noise(2, 2, samples))
    assert estimates.shape == (2, 4, 2, samples)
    valid = model.valid_samples(samples)
    assert valid >= samples and model.valid_samples(valid) == valid


def test_a_causal_network_does_not_hear_the_future():
    config = ConvTasNetConfig(**SMALL, causal=True, norm="cumulative", input_norm="cumulative")
    model = ConvTasNet(config).eval()
    mixture = noise(1, 2, 2000)
    with torch.inference_mode():
        whole, start = model(mixture), model(mixture[..., :1000])
    assert torch.allclose(whole[..., :980], start[..., :980], atol=1e-5)
