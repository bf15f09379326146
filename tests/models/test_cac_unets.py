"""The TFC-TDF U-Net and LaSAFT against the authors' repositories."""

from __future__ import annotations

import pytest
import torch

from reference.classic import CASES, check, fill, learnable, noise
from unbraid.models.cac_unet.config import CacUNetConfig
from unbraid.models.cac_unet.network import CacUNet
from unbraid.models.cac_unet.public import public_name
from unbraid.models.lasaft import public as lasaft_public
from unbraid.models.lasaft.config import LaSAFTConfig
from unbraid.models.lasaft.network import LaSAFT
from unbraid.models.layers.parts_first import pack_parts_first, unpack_parts_first

SMALL = {"n_fft": 256, "hop": 64, "levels": 2, "width": 8, "layers": 3}
ONE = {"stems": ("vocals",), **SMALL}
LATENT = {**SMALL, "latent_sources": 3, "key_width": 6, "embedding": 4, "control_layers": 3}


def _wave(samples):
    return noise(1, 2, samples)


@pytest.mark.parametrize(
    ("net", "spec", "wave", "samples", "config"),
    [
        ("tfctdf_net_small", "tfctdf_spec_small", "tfctdf_wave_small", 1984, CacUNetConfig(**ONE)),
        ("tfctdf_net_small_bias", None, None, 1984, CacUNetConfig(**ONE, bias=True)),
        pytest.param(
            "tfctdf_net_default", None, "tfctdf_wave_default", 130048,
            CacUNetConfig(stems=("vocals",)), marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_the_network_computes_what_the_authors_does(net, spec, wave, samples, config):
    model = CacUNet(config)
    fill(model, public_name)
    assert learnable(model) == CASES[net]["params"]
    mixture = _wave(samples)
    spectrum = pack_parts_first(model.stft(mixture))
    if spec:
        check(spec, spectrum)
    with torch.inference_mode():
        check(net, model.network(spectrum)[:, 0], 2e-6)
        if wave:
            check(wave, model(mixture)[:, 0].mT, 2e-6)


def test_the_large_model_has_the_published_size():
    large = CacUNetConfig(stems=("vocals",), n_fft=4096, levels=4, bias=True)
    assert learnable(CacUNet(large)) == 2_232_132


@pytest.mark.parametrize(
    ("case", "stem", "samples", "config"),
    [
        ("small_c0", 0, 1984, LaSAFTConfig(**LATENT)),
        ("small_c2", 2, 1984, LaSAFTConfig(**LATENT)),
        ("small_full_c1", 1, 1984, LaSAFTConfig(**LATENT, conditioned="full", control_norm=False)),
        pytest.param("default_c0", 0, 64512, LaSAFTConfig(), marks=pytest.mark.slow),
    ],
)
def test_the_conditioned_network_computes_what_the_authors_does(case, stem, samples, config):
    model = LaSAFT(config)
    fill(model, lasaft_public.public_name)
    assert learnable(model) == CASES[f"lasaft_net_{case}"]["params"]
    spectrum = pack_parts_first(model.stft(_wave(samples)))
    with torch.inference_mode():
        estimate = model.network(spectrum, torch.tensor([stem]))
        check(f"lasaft_net_{case}", estimate, 2e-6)
        if f"lasaft_wave_{case}" in CASES:
            wave = model.stft.inverse(unpack_parts_first(estimate), samples)
            check(f"lasaft_wave_{case}", wave.mT, 2e-6)
            assert torch.allclose(model(_wave(samples))[:, stem], wave, atol=1e-7)


def test_the_large_conditioned_model_has_the_published_size():
    large = LaSAFTConfig(n_fft=4096, levels=4, embedding=64)
    assert learnable(LaSAFT(large)) == 31_541_908


@pytest.mark.parametrize("samples", [1, 128, 129, 2001])
def test_any_length_comes_back(samples):
    for model in (CacUNet(CacUNetConfig(**SMALL)), LaSAFT(LaSAFTConfig(**LATENT))):
        with torch.inference_mode():
            assert model.eval()(noise(2, 2, samples)).shape == (2, 4, 2, samples)
        valid = model.valid_samples(samples)
        assert valid >= samples and model.valid_samples(valid) == valid
