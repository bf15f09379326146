"""Losses, averages, the guard, learning rates: parts that need no run."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from unbraid.training.config import GuardRecipe, LossRecipe, OptimizerRecipe
from unbraid.training.ema import Ema, weights_of
from unbraid.training.guard import Guard
from unbraid.training.losses import spectral_losses, stem_losses, stem_weights, weighted_loss
from unbraid.training.steps import learning_rate


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", ["l1", "mse", "relative", "log"])
def test_a_loss_is_least_for_the_truth_and_the_mean_of_its_halves(kind):
    sources, estimates = noise(4, 2, 2, 50), noise(4, 2, 2, 50, seed=1)
    losses = stem_losses(estimates, sources, kind)
    least = stem_losses(sources, sources, kind)
    assert (least < losses).all() and (least <= 0.011).all()
    halves = [stem_losses(estimates[i : i + 2], sources[i : i + 2], kind) for i in (0, 2)]
    assert torch.allclose(losses, sum(halves) / 2, rtol=1e-5)


def test_l1_and_mse_are_what_their_names_say():
    sources, estimates = torch.zeros(2, 2, 1, 8), torch.full((2, 2, 1, 8), -3.0)
    assert stem_losses(estimates, sources, "l1").tolist() == [3, 3]
    assert stem_losses(estimates, sources, "mse").tolist() == [9, 9]


def test_the_relative_loss_does_not_depend_on_loudness():
    sources, estimates = noise(2, 2, 1, 400), noise(2, 2, 1, 400, seed=1)
    quiet = stem_losses(0.1 * estimates, 0.1 * sources, "relative")
    assert torch.allclose(quiet, stem_losses(estimates, sources, "relative"), rtol=1e-3)


def test_stem_weights_make_a_weighted_mean():
    weights = stem_weights(LossRecipe(weights={"bass": 3.0}), ("drums", "bass"))
    assert float(weighted_loss(torch.tensor([4.0, 8.0]), weights)) == 7.0


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.9999])
def test_an_average_is_the_weighted_mean_of_what_it_took_in(decay):
    layer = torch.nn.Linear(3, 2)
    average, taken = Ema(layer, decay), []
    for k in range(7):
        with torch.no_grad():
            layer.weight.copy_(noise(2, 3, seed=k))
        average.update(layer)
        taken.append(layer.weight.detach().clone())
    shares = torch.tensor([decay ** (6 - k) for k in range(7)])
    expected = sum(s * w for s, w in zip(shares, taken, strict=True)) / shares.sum()
    assert torch.allclose(average.values["weight"], expected, atol=1e-6)


def test_the_first_update_replaces_whatever_was_there():
    broken = torch.nn.Linear(2, 2)
    with torch.no_grad():
        broken.weight.fill_(math.nan)
    average, layer = Ema(broken, 0.9), torch.nn.Linear(2, 2)
    average.update(layer)
    assert torch.equal(average.values["weight"], layer.weight)


def test_weights_are_put_back_also_after_an_error():
    layer = torch.nn.Linear(2, 2)
    before = layer.weight.detach().clone()
    with pytest.raises(RuntimeError), weights_of(layer, {"weight": torch.zeros(2, 2)}):
        assert not layer.weight.any()
        raise RuntimeError
    assert torch.equal(layer.weight, before)


def test_the_guard_lets_good_steps_through_and_no_others():
    guard = Guard(GuardRecipe(factor=10, window=20))
    assert guard.trouble(1e9, 1.0) is None  # nothing to compare with yet
    for _ in range(20):
        guard.accept(1.0)
    assert guard.trouble(9.0, 1.0) is None
    assert "exploded" in guard.trouble(11.0, 1.0)
    for loss in (math.nan, math.inf):
        assert "the loss is" in guard.trouble(loss, 1.0)
    assert "norm" in guard.trouble(1.0, math.nan)
    assert guard.trouble(1.0, None) is None  # a loss scaler settles


def test_the_guard_gives_up_only_if_trouble_comes_in_a_row():
    guard = Guard(GuardRecipe(window=50, repeats=2))
    assert [guard.count(step) for step in (100, 90, 120)] == [True, True, False]
    guard = Guard(GuardRecipe(window=50, repeats=2))
    assert all(guard.count(step) for step in range(0, 10_000, 100))
    again = Guard(GuardRecipe())
    again.load(guard.state())
    assert again.state() == guard.state()


def test_the_learning_rate_rises_then_falls_to_its_share():
    recipe = OptimizerRecipe(lr=1.0, warmup_steps=10, final_lr=0.1)
    rates = [learning_rate(recipe, step, 100) for step in range(101)]
    assert rates[0] == pytest.approx(0.1, rel=0.01) and max(rates) > 0.95
    assert rates[100] == pytest.approx(0.1)
    assert all(a <= b for a, b in pairwise(rates[:10]))
    assert all(a >= b for a, b in pairwise(rates[10:]))


def test_the_spectral_loss_is_blind_to_phase_and_loudness_and_sees_what_is_missing():
    sources = torch.randn(2, 3, 2, 9000, generator=torch.Generator().manual_seed(0))
    estimates = 0.5 * sources
    assert spectral_losses(-sources, sources).max() < 1e-4
    once, louder = spectral_losses(estimates, sources), spectral_losses(8 * estimates, 8 * sources)
    assert torch.allclose(once, louder, rtol=1e-3)
    worse = spectral_losses(0 * sources, sources)
    assert (worse > 1.5 * once).all() and worse.shape == (3,)


def test_the_spectral_loss_has_a_gradient_at_silence_and_fits_short_excerpts():
    estimates = torch.zeros(1, 1, 1, 300, requires_grad=True)
    spectral_losses(estimates, torch.ones(1, 1, 1, 300)).sum().backward()
    assert estimates.grad is not None and estimates.grad.isfinite().all()
