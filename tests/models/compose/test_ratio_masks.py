"""Ratio masks: the mixture shared out, with arrays and with tensors alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from separation.stand_ins import Splitter, spec_of
from unbraid.engines.ready import as_model
from unbraid.errors import SettingsError
from unbraid.models.compose.ratio_masks import RatioMasks, RatioMasksConfig, apply_ratio_masks
from unbraid.models.registry import Member
from unbraid.separation.engine import apply_model
from unbraid.separation.settings import SeparationSettings


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("samples", [1, 4095, 4096, 20_001])
def test_the_stems_add_up_to_the_mixture(samples):
    mixture = noise(2, 2, samples)
    stems = apply_ratio_masks(mixture, noise(2, 3, 2, samples))
    assert stems.dtype == np.float32
    np.testing.assert_allclose(stems.sum(1), mixture, atol=1e-5)


def test_a_stem_alone_gets_all_and_a_silent_one_nothing():
    mixture = noise(1, 2, 9000)
    estimates = np.stack([np.zeros_like(mixture), -0.1 * mixture], 1)
    stems = apply_ratio_masks(mixture, estimates)
    assert not stems[:, 0].any()
    np.testing.assert_allclose(stems[:, 1], mixture, atol=1e-5)


def test_where_no_estimate_sounds_nothing_comes_out():
    assert not apply_ratio_masks(noise(1, 1, 100), np.zeros((1, 2, 1, 100), np.float32)).any()


def test_tones_apart_go_to_the_stems_that_have_them():
    time = np.arange(30_000) / 44100
    low, high = (np.sin(2 * np.pi * hz * time, dtype=np.float32)[None, None] for hz in (200, 3000))
    stems = apply_ratio_masks(low + high, np.stack([0.2 * low, -2 * high], 1))
    middle = slice(8192, -8192)
    np.testing.assert_allclose(stems[:, 0, :, middle], low[..., middle], atol=2e-2)
    np.testing.assert_allclose(stems[:, 1, :, middle], high[..., middle], atol=2e-2)


@pytest.mark.parametrize("samples", [1, 9001])
def test_tensors_give_what_arrays_give(samples):
    mixture, estimates = noise(2, 2, samples), noise(2, 3, 2, samples)
    expected = apply_ratio_masks(mixture, estimates)
    found = apply_ratio_masks(torch.from_numpy(mixture), torch.from_numpy(estimates))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_tensors_have_a_gradient_at_silence():
    estimates = torch.zeros(1, 2, 1, 5000, requires_grad=True)
    masked = apply_ratio_masks(torch.ones(1, 1, 5000), estimates)
    masked.square().sum().backward()
    assert torch.isfinite(estimates.grad).all()


def test_a_model_with_masks_is_one_for_arrays_and_tensors_and_whatever_is_put_around_it():
    plain = Splitter(spec_of(3))
    config = RatioMasksConfig(Member("stand-in", plain))
    masked = RatioMasks(config, {"model": as_model(plain)})
    mixture = torch.from_numpy(noise(1, 2, 57))
    settings = SeparationSettings(shifts=2)
    torch.testing.assert_close(
        apply_model(masked, mixture, settings), apply_model(plain, mixture, settings) / 6
    )
    torch.testing.assert_close(torch.from_numpy(masked(mixture.numpy())), masked(mixture))


def test_one_stem_alone_shares_with_nobody():
    with pytest.raises(SettingsError, match="two stems or more"):
        RatioMasksConfig(Member("stand-in", Splitter(spec_of(1))))
