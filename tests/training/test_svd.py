from __future__ import annotations

import dataclasses

import pytest
import torch

from reference.generator import fill
from unbraid.engines.torch.official import from_official, to_official_state
from unbraid.training.config import SvdRecipe
from unbraid.training.seeds import generator_of
from unbraid.training.svd import large_weights, largest_singular_values, penalty, squared_norm
from unbraid.training.watchdog import watch

STEMS = ["drums", "bass", "other", "vocals"]
EXACT = SvdRecipe(method="exact", swap_transposed=True)


@pytest.fixture(scope="module")
def model():
    """The model whose penalties the specification gives, section 5."""
    model = from_official("HDemucs", {"channels": 16, "sources": STEMS})
    state = {key: fill(key, tuple(v.shape)) for key, v in to_official_state(model).items()}
    return from_official("HDemucs", {"channels": 16, "sources": STEMS}, state)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 282.6245),
        ({"swap_transposed": False}, 278.2889),
        ({"convolutions_only": True}, 126.3837),
        ({"min_size_mb": 1.0}, 30.5337),
        ({"min_size_mb": 1.0, "swap_transposed": False}, 27.9543),
    ],
)
def test_exact_penalties_are_those_of_the_specification(model, changes, expected):
    value = penalty(model, dataclasses.replace(EXACT, **changes), step=0)
    assert value.item() == pytest.approx(expected, rel=2e-6)


def test_low_rank_penalties_are_those_of_the_specification(model):
    wide = SvdRecipe(method="low_rank", rank=100, iterations=4, swap_transposed=True)
    assert penalty(model, wide, step=0).item() == pytest.approx(282.47, rel=1e-3)
    narrow = SvdRecipe(method="low_rank", rank=1, iterations=2, swap_transposed=True)
    assert penalty(model, narrow, step=0).item() == pytest.approx(227, rel=0.06)


def test_the_default_hybrid_model_has_49_large_weights():
    with torch.device("meta"):
        model = from_official("HDemucs", {"sources": STEMS})
    assert len(list(large_weights(model, SvdRecipe(min_size_mb=1.0)))) == 49


@pytest.mark.parametrize("method", ["low_rank", "power", "exact"])
@pytest.mark.parametrize("shape", [(30, 12), (12, 30)])
def test_every_method_finds_the_largest_singular_value_and_its_gradient(method, shape):
    matrix = torch.randn(shape, generator=generator_of(0)).requires_grad_()
    recipe = SvdRecipe(method=method, rank=8, iterations=100)
    value = squared_norm(matrix, recipe, generator_of(1))
    exact = torch.linalg.matrix_norm(matrix, 2).square()
    assert value.item() == pytest.approx(exact.item(), rel=5e-3)
    (ours,) = torch.autograd.grad(value, matrix)
    (true,) = torch.autograd.grad(exact, matrix)
    assert torch.allclose(ours, true, atol=3e-2 * float(true.abs().max()))


def test_low_rank_is_what_torch_makes_of_the_same_start(monkeypatch):
    matrix = torch.randn(40, 20, generator=generator_of(2))
    start = torch.randn(20, 5, generator=generator_of(3))
    monkeypatch.setattr(torch, "randn", lambda *a, **k: start)
    _, values, _ = torch.svd_lowrank(matrix, q=5, niter=2)
    ours = squared_norm(matrix, SvdRecipe(rank=5, iterations=2), generator_of(3))
    assert ours.item() == pytest.approx(float(values[0] ** 2), rel=1e-5)


def test_a_step_that_the_coin_leaves_out_costs_nothing_and_the_mean_stays():
    layer = torch.nn.Linear(64, 64)
    always = SvdRecipe(method="exact", min_size_mb=0.0)
    half = dataclasses.replace(always, probability=0.5)
    full = penalty(layer, always, step=0).item()
    values = [penalty(layer, half, step).item() for step in range(200)]
    assert all(value in (0.0, pytest.approx(2 * full, rel=1e-5)) for value in values)
    assert sum(values) / 200 == pytest.approx(full, rel=0.25)
    assert not penalty(torch.nn.Linear(2, 2), SvdRecipe(), 0).requires_grad


def test_the_watchdog_barks_when_a_singular_value_blows_up():
    layer, start = torch.nn.Linear(16, 16), {}
    recipe = SvdRecipe(min_size_mb=0.0)
    shown, warnings = watch(layer, recipe, start)
    assert warnings == [] and shown == start == largest_singular_values(layer, recipe)
    with torch.no_grad():
        layer.weight.mul_(100)
    _, warnings = watch(layer, recipe, start)
    assert len(warnings) == 1 and "weight has grown from" in warnings[0]
