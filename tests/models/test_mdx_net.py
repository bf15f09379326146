"""KUIELAB-MDX-Net against the authors' repositories."""

from __future__ import annotations

import pytest
import torch

from reference.classic import CASES, check, fill, learnable, noise, value_of
from unbraid.models.layers.stft import pack_complex
from unbraid.models.mdx_net.config import MDXNetConfig
from unbraid.models.mdx_net.network import MDXNet
from unbraid.models.mdx_net.public import public_name

SMALL = {"bins": 128, "hop": 64, "levels": 2, "width": 8, "mixer": False}
ONE = {**SMALL, "stems": ("vocals",), "n_ffts": (384,)}


@pytest.mark.parametrize(
    ("net", "stft", "wave", "samples", "config"),
    [
        ("mdx_net_small", "mdx_stft_small", "mdx_wave_small", 1984, MDXNetConfig(**ONE)),
        ("mdx_net_notdf", None, None, 1984,
         MDXNetConfig(**{**ONE, "n_ffts": (256,), "layers": 2, "bottleneck_factor": 0})),
        pytest.param(
            "mdx_net_default_vocals", None, "mdx_wave_default_vocals", 261120,
            MDXNetConfig(stems=("vocals",), n_ffts=(6144,), mixer=False), marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_the_network_computes_what_the_authors_does(net, stft, wave, samples, config):
    model = MDXNet(config)
    fill(model, public_name)
    mixture = noise(1, 2, samples)
    spectrum = pack_complex(model.stfts[0](mixture)[..., : config.bins, :])
    if stft:
        check(stft, spectrum)
        assert learnable(model) == 48644
    with torch.inference_mode():
        check(net, model.nets[0](spectrum), 2e-6)
        if wave:
            check(wave, model(mixture)[:, 0], 2e-6)


def test_a_published_network_has_the_published_size():
    model = MDXNet(MDXNetConfig(stems=("vocals",), n_ffts=(6144,), mixer=False))
    assert learnable(model) == 7_423_236


def test_the_mixer_computes_what_the_authors_does():
    model = MDXNet(MDXNetConfig(**{**SMALL, "mixer": True, "n_ffts": (384,) * 4}))
    with torch.no_grad():
        model.mixer.weight.copy_(value_of("linear.weight", (8, 10)))
    parts = noise(1, 5, 2, 1000)
    check("mdx_mixer", model.mix(parts[:, :4], parts[:, 4])[0])


def test_a_song_in_windows_without_overlap_comes_out_as_the_authors():
    model = MDXNet(MDXNetConfig(**ONE))
    fill(model, public_name)
    song, trim, whole = noise(2, 5000), 192, 1984
    hop = whole - 2 * trim
    padded = torch.nn.functional.pad(song, (trim, hop - 5000 % hop + trim))
    with torch.inference_mode():
        windows = padded.unfold(-1, whole, hop).movedim(1, 0)
        parts = model(windows)[:, 0, :, trim:-trim]
    assert len(parts) == 4
    check("mdx_demix_small", parts.movedim(0, 1).flatten(1)[None, :, :5000], 2e-6)


@pytest.mark.parametrize("samples", [1, 128, 2001])
def test_any_length_comes_back(samples):
    model = MDXNet(MDXNetConfig(**{**SMALL, "mixer": True, "n_ffts": (512, 256, 384, 256)})).eval()
    with torch.inference_mode():
        assert model(noise(2, 2, samples)).shape == (2, 4, 2, samples)
    valid = model.valid_samples(samples)
    assert valid >= samples and model.valid_samples(valid) == valid


def test_the_mixer_starts_by_changing_nothing():
    config = {**SMALL, "n_ffts": (384,) * 4}
    mixed, plain = MDXNet(MDXNetConfig(**config | {"mixer": True})), MDXNet(MDXNetConfig(**config))
    plain.load_state_dict(mixed.state_dict(), strict=False)
    mixture = noise(1, 2, 1000)
    with torch.inference_mode():
        assert torch.allclose(mixed.eval()(mixture), plain.eval()(mixture), atol=1e-6)
    assert CASES["mdx_mixer"]["shape"] == [4, 2, 1000]
