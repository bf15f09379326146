"""To a quarter of the rate and back: what is low stays, what is high goes, nothing moves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unbraid.models.compose import quarter_rate as rates


def tone(hertz: float, samples: int = 8192) -> torch.Tensor:
    phase = 2 * np.pi * hertz * np.arange(samples) / 44100
    return torch.from_numpy(np.sin(phase).astype(np.float32))


def difference_db(found: torch.Tensor, wanted: torch.Tensor) -> float:
    inner = slice(512, -512)
    error = (found - wanted)[inner].double().square().mean()
    return float(10 * torch.log10(error / tone(1000)[inner].double().square().mean() + 1e-20))


@pytest.mark.parametrize("hertz", [20, 440, 3000, 4000])
def test_a_low_tone_comes_back_as_it_was_and_where_it_was(hertz):
    signal = tone(hertz)
    lower = rates.to_quarter_rate(signal)
    assert difference_db(lower, signal[::4]) < -75
    assert difference_db(rates.from_quarter_rate(lower, len(signal)), signal) < -75


@pytest.mark.parametrize("hertz", [5600, 9000, 20000])
def test_a_high_tone_vanishes(hertz):
    lower = rates.to_quarter_rate(tone(hertz))
    assert difference_db(lower, torch.zeros_like(lower)) < -75


@pytest.mark.parametrize("samples", [1, 2, 5, 63, 64, 65, 1000])
def test_arrays_and_tensors_of_any_length_give_the_same(samples):
    full = torch.randn(2, 3, samples, generator=torch.Generator().manual_seed(0))
    low = rates.to_quarter_rate(full)
    assert low.shape == (2, 3, -(-samples // 4))
    assert np.allclose(rates.to_quarter_rate(full.numpy()), low, atol=1e-6)
    joined = rates.with_low_band(full, 0.5 * low)
    assert joined.shape == full.shape
    by_array = rates.with_low_band(full.numpy(), 0.5 * low.numpy())
    assert np.allclose(by_array, joined, atol=1e-6)


def test_ones_own_low_band_changes_nothing_and_another_comes_in_its_place():
    low_tone, high_tone = tone(300), tone(9000)
    full = low_tone + high_tone
    assert torch.equal(rates.with_low_band(full, rates.to_quarter_rate(full)), full)
    other = rates.with_low_band(full, rates.to_quarter_rate(tone(700)))
    assert difference_db(other, tone(700) + high_tone) < -70


def test_there_is_a_gradient_and_autocast_loses_nothing():
    full = torch.randn(1, 500, requires_grad=True)
    low = torch.randn(1, 125, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        joined = rates.with_low_band(full, low)
    assert torch.equal(joined, rates.with_low_band(full, low))
    joined.square().sum().backward()
    assert full.grad is not None and float(full.grad.abs().min()) > 0
    assert low.grad is not None and float(low.grad.abs().min()) > 0
