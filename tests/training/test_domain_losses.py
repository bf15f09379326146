"""Losses on spectrograms, sums of stems and angles; those of X-UMX against asteroid's."""

from __future__ import annotations

import pytest
import torch

from reference.classic import CASES, fill, noise
from unbraid.errors import ModelError
from unbraid.models.network import BandErrors
from unbraid.models.x_umx.config import XUMXConfig
from unbraid.models.x_umx.network import XUMX
from unbraid.models.x_umx.public import public_name
from unbraid.training.config import LossRecipe, Recipe
from unbraid.training.domain_losses import (
    angle_losses,
    distances,
    subsets,
    training_losses,
    weighted_sdr,
)
from unbraid.training.losses import band_losses, stem_losses
from unbraid.training.steps import check_domain


def test_the_angle_is_the_weighted_sdr_of_asteroid():
    a, b, c = (noise(3, 500, name=name) for name in "abc")
    value = float(weighted_sdr(a, b, c).mean())
    assert value == pytest.approx(CASES["xumx_wsdr"]["value"], abs=1e-6)


def test_multi_domain_and_combination_losses_are_those_of_asteroid():
    config = XUMXConfig(n_fft=512, hop=128, hidden=32, bins=150, wiener_iterations=0)
    model = XUMX(config)
    fill(model, lambda name: public_name(name, config.stems))
    sources = torch.stack([noise(1, 2, 12000, name=f"t{i}") for i in range(4)], dim=1)
    with torch.inference_mode():
        z = model.stft(sources.sum(1))
        magnitudes = model.magnitudes(z.abs()).flatten(3)
        waves = model(sources.sum(1))[..., :11904]
        wanted = model.stft(sources).abs().flatten(3)
    for combine in (False, True):
        plain = distances(magnitudes, wanted, "mse", combine).mean()
        case = CASES[f"xumx_loss_comb{int(combine)}_multi0"]["value"]
        assert float(plain) == pytest.approx(case, rel=1e-5)
        angle = angle_losses(waves, sources[..., :11904], combine).mean()
        case = CASES[f"xumx_loss_comb{int(combine)}_multi1"]["value"]
        assert float(plain + 10 * angle) == pytest.approx(case, rel=1e-5)


def test_all_sets_of_stems_but_none_and_all_are_compared():
    assert subsets(4, torch.zeros(1)).shape == (14, 4)
    assert subsets(1, torch.zeros(1)).tolist() == [[1.0]]


@pytest.mark.parametrize("kind", ["l1", "mse", "relative", "magnitude", "spectrum"])
@pytest.mark.parametrize("combine", [False, True])
def test_the_truth_has_the_least_loss_and_a_gradient(kind, combine):
    recipe = LossRecipe(kind=kind, combine=combine, angle=1.0, n_fft=256, hop=64)
    sources = noise(2, 3, 2, 1000)
    estimates = torch.zeros(2, 3, 2, 1000, requires_grad=True)
    losses = training_losses(estimates, sources, recipe)
    losses.sum().backward()
    assert losses.shape == (3,)
    assert bool((losses > training_losses(sources, sources, recipe)).all())
    assert estimates.grad.isfinite().all()


@pytest.mark.parametrize("kind", ["relative", "log"])
def test_errors_in_one_band_cost_what_those_of_waveforms_cost(kind):
    sources, estimates = noise(2, 3, 2, 100), noise(2, 3, 2, 100, name="other")
    errors = BandErrors(
        (estimates - sources).square().mean(-1)[..., None, None],
        sources.sum(1).square().mean(-1)[..., None, None],
    )
    wanted = stem_losses(estimates, sources, kind)
    assert band_losses(errors, kind).tolist() == pytest.approx(wanted.tolist(), rel=1e-5)
    assert bool((band_losses(errors, kind, spectral=0.5) > wanted).all())


def test_errors_of_nothing_and_of_silence_have_a_gradient():
    for mixture in (0.0, 1.0):
        error = torch.zeros(1, 2, 2, 4, 5, requires_grad=True)
        errors = BandErrors(error, torch.full((1, 2, 4, 5), mixture))
        band_losses(errors, "log", spectral=1.0).sum().backward()
        assert error.grad.isfinite().all()


def test_a_model_without_masks_over_bands_says_so():
    recipe = Recipe(loss=LossRecipe(kind="log", domain="bands"))
    with pytest.raises(ModelError, match=r"set loss\.domain = "):
        check_domain(XUMX(XUMXConfig(n_fft=512, hop=128, hidden=8, bins=150)), recipe)


def test_plain_losses_are_what_they_were():
    sources, estimates = noise(2, 3, 2, 100), noise(2, 3, 2, 100, name="other")
    losses = training_losses(estimates, sources, LossRecipe(kind="l1"))
    assert losses.tolist() == pytest.approx((estimates - sources).abs().mean((0, 2, 3)).tolist())
