"""Laws of the other models and layers: bands, magnitudes, Wiener filtering, resampling, Demucs."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from unbraid.errors import SettingsError
from unbraid.models.demucs.network import Demucs, DemucsConfig
from unbraid.models.hybrid_demucs.network import HybridDemucsConfig
from unbraid.models.layers.resample import SincResampler, _strided_conv
from unbraid.models.layers.stft import AlignedSTFT, DelayedSTFT
from unbraid.models.layers.wiener_em import WienerEM
from unbraid.models.registry import build_model
from unbraid.models.spectral.band_split import BandSplitDecoderLayer, BandSplitEncoderLayer
from unbraid.models.spectral.layers import LayerShape, SpecDecoderLayer, SpecEncoderLayer
from unbraid.models.spectrogram_demucs.network import SpectrogramDemucs, SpectrogramDemucsConfig

SHAPE = LayerShape(outer=3, width=4, kernel=8, stride=4)


@pytest.mark.parametrize("splits", [(0.5,), (0.1, 0.3), (0.2, 0.45, 0.9)])
@torch.no_grad()
def test_bands_of_equal_weights_are_one_layer(splits):
    whole, split = SpecEncoderLayer(SHAPE), BandSplitEncoderLayer(SHAPE, splits)
    for band in split.bands:
        band.load_state_dict(whole.state_dict())
    x = torch.randn(2, 3, 256, 5)
    torch.testing.assert_close(split(x), whole(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize("splits", [(0.5,), (0.1, 0.3)])
@torch.no_grad()
def test_decoder_bands_of_equal_weights_are_one_layer(splits):
    shape = LayerShape(outer=3, width=4, kernel=8, stride=4, context=0)
    whole, split = SpecDecoderLayer(shape), BandSplitDecoderLayer(shape, splits)
    for band in split.bands:
        band.load_state_dict(whole.state_dict())
    x, skip = torch.randn(2, 2, 4, 64, 5)
    torch.testing.assert_close(split(x, skip), whole(x, skip), atol=1e-5, rtol=0)


def test_wiener_without_iterations_is_the_guess():
    y = torch.randn(1, 3, 2, 5, 7, dtype=torch.cfloat)
    torch.testing.assert_close(WienerEM(0).improve(y, y.sum(1)), y)


@pytest.mark.parametrize("epsilon", [1e-10, 2.2e-16])
def test_wiener_filtering_of_two_equal_channels_is_that_of_one(epsilon):
    torch.manual_seed(0)
    y = 20 * torch.randn(1, 3, 1, 6, 320, dtype=torch.cfloat)
    one, both = (
        WienerEM(1, epsilon=epsilon).improve(v, v.sum(1)).sum(dim=1)
        for v in (y, y.expand(-1, -1, 2, -1, -1))
    )
    torch.testing.assert_close(both, one.expand_as(both), atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("channels", [1, 2])
def test_wiener_estimates_add_up_to_the_mixture(channels):
    torch.manual_seed(0)
    y = torch.randn(1, 3, channels, 6, 320, dtype=torch.cfloat)
    x = torch.randn(1, channels, 6, 320, dtype=torch.cfloat)
    for iterations in (1, 3):
        total = WienerEM(iterations).improve(y, x).sum(dim=1)
        torch.testing.assert_close(total, x, atol=1e-3, rtol=0)


def test_the_delayed_stft_comes_back_late():
    x = torch.sin(0.3 * torch.arange(20_000))[None]  # nothing at Nyquist, which is left out
    stft, late = AlignedSTFT(4096), DelayedSTFT(4096)
    y = late.inverse(late(x), 20_000)
    torch.testing.assert_close(
        y[:, 5000:15_000], x[:, 5000 - 1536 : 15_000 - 1536], atol=1e-5, rtol=0
    )
    assert stft(x).shape == late(x).shape


@pytest.mark.parametrize(("old", "new"), [(1, 2), (2, 1), (3, 2)])
def test_the_resampler_keeps_a_low_tone_and_a_constant(old, new):
    t = torch.arange(3000) / 1000
    tone = torch.sin(2 * math.pi * 40 * t)
    y = SincResampler(old, new)(tone[None])[0]
    assert len(y) == 3000 * new // old
    wanted = torch.sin(2 * math.pi * 40 * torch.arange(len(y)) * old / new / 1000)
    torch.testing.assert_close(y[200:-200], wanted[200:-200], atol=1e-3, rtol=0)
    ones = SincResampler(old, new)(torch.ones(2, 500))
    torch.testing.assert_close(ones, torch.ones_like(ones))


@pytest.mark.parametrize(("stride", "taps", "samples"), [(1, 5, 40), (2, 104, 999), (3, 7, 100)])
def test_the_resamplers_strided_convolution_is_torchs(stride, taps, samples):
    x = torch.randn(3, 1, samples, requires_grad=True)
    kernels = torch.randn(2, 1, taps)
    y, wanted = _strided_conv(x, kernels, stride), F.conv1d(x, kernels, stride=stride)
    torch.testing.assert_close(y, wanted)
    weights = torch.randn_like(y)
    back, wanted_back = (torch.autograd.grad((z * weights).sum(), x)[0] for z in (y, wanted))
    torch.testing.assert_close(back, wanted_back)


@pytest.mark.parametrize("samples", [1, 2, 999, 4096, 5001])
@torch.no_grad()
def test_every_length_comes_back(samples):
    demucs = Demucs(DemucsConfig(width=4, depth=3, residual_compression=2)).eval()
    plain = SpectrogramDemucs(SpectrogramDemucsConfig(width=4, residual_compression=2)).eval()
    for model in (demucs, plain):
        y = model(torch.randn(2, 2, samples))
        assert y.shape == (2, 4, 2, samples) and y.isfinite().all()
        assert model.valid_samples(samples) >= samples


@pytest.mark.parametrize(
    ("samples", "valid"), [(1, 4778), (44100, 45738), (441_000, 441_002), (1_764_000, 1_764_010)]
)
def test_valid_lengths_are_the_published_ones(samples, valid):
    assert Demucs(DemucsConfig(width=4)).valid_samples(samples) == valid


def test_training_and_evaluation_filter_as_often_as_they_say():
    torch.manual_seed(0)
    config = SpectrogramDemucsConfig(
        width=4, residual_compression=2, magnitude=True, wiener_iterations=1
    )
    model = SpectrogramDemucs(config)
    x = torch.randn(1, 2, 5000)
    with torch.no_grad():
        assert not torch.equal(model.train()(x), model.eval()(x))
    model.train()(x).square().sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize(
    "settings",
    [
        {"magnitude": True, "wiener_iterations": 1},
        {"magnitude": True, "audio_channels": 3, "wiener_iterations": 1,
         "wiener_training_iterations": 1},
        {"band_splits": (0.5, 0.2)},
        {"band_splits": (0.001,)},
        {"band_splits": (0.5,), "band_split_levels": 5},
        {"band_splits": (1.5,)},
        {"width": 0},
        {"stems": ("../x",)},
        {"stems": ("a", "a")},
        {"n_fft": 4095},
        {"segment_s": float("inf")},
    ],
)  # fmt: skip
def test_settings_that_make_no_model_are_refused(settings):
    with pytest.raises(SettingsError):
        HybridDemucsConfig(**settings).check()


@pytest.mark.parametrize("architecture", ["hybrid_demucs", "spectrogram_demucs", "demucs"])
def test_every_architecture_is_built_by_name(architecture):
    model = build_model(architecture, {"width": 4, "residual_compression": 2, "stems": ["a", "b"]})
    assert model.spec.stems == ("a", "b")
