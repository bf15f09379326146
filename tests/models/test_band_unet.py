"""Laws of the U-Net over bands."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch

from unbraid.errors import UnbraidError
from unbraid.models.band_unet.config import BandUNetConfig, band_edges
from unbraid.models.band_unet.network import BandUNet, band_powers, istft, stft, to_bins
from unbraid.training.losses import band_losses

TINY = BandUNetConfig(n_fft=512, bands=32, channels=(4, 4, 8, 8), dense=4, hidden=8, segment_s=1.0)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return BandUNet(TINY).eval()


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("samples", [1, 255, 256, 257, 5000])
def test_estimates_sum_to_the_mixture_at_any_length(model, samples):
    mixture = noise(2, 2, samples)
    with torch.no_grad():
        estimates = model(mixture)
    assert estimates.shape == (2, 3, 2, samples)
    assert (estimates.sum(1) - mixture).abs().max() < 1e-5


def test_mono_is_separated_too():
    config = dataclasses.replace(TINY, audio_channels=1)
    estimates = BandUNet(config).eval()(noise(1, 1, 3000))
    assert estimates.shape == (1, 3, 1, 3000)


def test_a_louder_mixture_gives_estimates_louder_by_as_much(model):
    mixture = noise(1, 2, 5000)
    with torch.no_grad():
        assert torch.allclose(model(8 * mixture), 8 * model(mixture), atol=1e-4)


def test_silence_gives_silence(model):
    with torch.no_grad():
        assert torch.equal(model(torch.zeros(1, 2, 3000)), torch.zeros(1, 3, 2, 3000))


def test_the_transform_comes_back(model):
    signal = noise(3, 2, 1234)
    assert torch.allclose(istft(stft(signal, 512), 512, 1234), signal, atol=1e-5)


@pytest.mark.parametrize(("bins", "bands"), [(2049, 192), (2049, 256), (257, 32), (2049, 2048)])
def test_bands_cover_all_bins_once_and_only_grow(bins, bands):
    edges = band_edges(bins, bands)
    assert len(edges) == bands + 1
    assert (edges[0], edges[-1]) == (0, bins)
    widths = [high - low for low, high in itertools.pairwise(edges)]
    assert widths[0] == 1
    assert all(b >= a - 1 for a, b in itertools.pairwise(widths))


def test_power_of_bands_is_the_power_of_their_bins():
    spectrum = stft(noise(1, 2, 3000), 512)
    powers = band_powers(spectrum, TINY.edges)
    assert torch.allclose(powers.own.sum(2), spectrum.abs().square().sum(2), rtol=1e-4)


def test_masks_of_bands_that_are_alike_stay_as_they_are_in_bins():
    masks = torch.full((1, 3, 2, 32, 5), 0.25)
    assert torch.allclose(to_bins(masks, TINY.edges), torch.full((1, 3, 2, 257, 5), 0.25))


@pytest.mark.parametrize("samples", [255, 5000])
def test_errors_in_bands_of_even_masks_are_those_of_the_waveforms(model, samples):
    with torch.no_grad():
        model.leave.weight.zero_()
        model.leave.bias.copy_(torch.tensor([0.0, 0.0, 1.0, 1.0, -1.0, -1.0]))
        sources = noise(2, 3, 2, samples)
        errors = model.band_errors(sources)
        wanted = (model(sources.sum(1)) - sources).square().mean(-1)
    assert errors.error.shape[:4] == (2, 3, 2, 32)
    assert torch.allclose(errors.error.sum((3, 4)), wanted, rtol=0.02)
    mixture = sources.sum(1).square().mean(-1)
    assert torch.allclose(errors.mixture.sum((2, 3)), mixture, rtol=0.02)


def waves(model, sources):
    return (model(sources.sum(1)) - sources).square().mean()


def bands(model, sources):
    return band_losses(model.band_errors(sources), "log", spectral=0.1).mean()


@pytest.mark.parametrize("loss_of", [waves, bands])
def test_it_learns_to_part_a_hum_from_clicks(loss_of):
    torch.manual_seed(0)
    model = BandUNet(dataclasses.replace(TINY, stems=("clicks", "hum")))
    time = torch.arange(4000) / 44100
    hum = torch.sin(2 * torch.pi * 300 * time).expand(1, 2, -1)
    clicks = torch.zeros(1, 2, 4000)
    clicks[..., ::1000] = 8.0
    sources = torch.stack([clicks, hum], 1)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    before = waves(model, sources).item()
    for _ in range(8):
        loss = loss_of(model, sources)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert waves(model, sources).item() < before / 5


@pytest.mark.parametrize(
    "wrong",
    [{"bands": 30}, {"bands": 4096}, {"n_fft": 500}, {"channels": (4, 4)}, {"audio_channels": 3},
     {"hidden": 0}, {"stems": ()}, {"segment_s": -1.0}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(UnbraidError):
        dataclasses.replace(TINY, **wrong)
