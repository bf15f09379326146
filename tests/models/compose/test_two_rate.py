"""Two models, each for its part of the band."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from small_composites import two_rate, two_rate_config
from unbraid.engines.load import load_model
from unbraid.errors import SettingsError
from unbraid.models.compose.quarter_rate import to_quarter_rate
from unbraid.models.compose.two_rate import TwoRateConfig
from unbraid.models.network import Network
from unbraid.models.registry import Member, build_model, describe_model, make_config, weight_shapes
from unbraid.training.recipes import read_recipe
from unbraid.training.start import new_model, recompute_activations, start_from
from unbraid.zoo.checkpoint import save_checkpoint
from unbraid.zoo.header import mend_v1

SMALL = {"width": 4, "low_width": 8, "n_fft": 1024, "depth": 5, "residual_compression": 2}


def small_model(**changes) -> Network:
    return two_rate(**{**SMALL, **changes})


def test_the_part_at_a_quarter_of_the_rate_has_the_same_frames_and_a_level_less():
    flat = {"width": 8, "low_width": 24, "ratio_masks": True, "segment_s": 5}
    architecture, plain, prefix = mend_v1("two_rate_demucs", flat)
    assert (architecture, prefix) == ("ratio_masks", "model.")
    whole = make_config(architecture, plain)
    config = whole.model.config
    full, low = config.full.config, config.low.config
    assert full.width == 8 and low.width == 24
    assert (low.sample_rate, low.n_fft, low.depth) == (11025, 1024, 5)
    assert low.spec.segment_samples == config.spec.segment_samples // 4
    assert whole.spec == config.spec == full.spec


@pytest.mark.parametrize(
    "settings",
    [{"sample_rate": 44102}, {"stride": 2}, {"low_width": 0}, {"n_fft": 2048}],
)
def test_what_makes_no_such_model_is_told(settings):
    with pytest.raises(SettingsError):
        two_rate_config(**{**SMALL, **settings})


def test_parts_that_do_not_go_together_are_told():
    config = two_rate_config(**SMALL)
    with pytest.raises(SettingsError, match="at a quarter of the first one's sample rate"):
        TwoRateConfig(config.full, config.full)
    other = dataclasses.replace(config.low.config, stems=("a", "b"))
    with pytest.raises(SettingsError, match="the same stems"):
        TwoRateConfig(config.full, Member("hybrid_demucs", other))


@pytest.mark.slow
@torch.no_grad()
def test_what_is_low_is_of_the_one_part_and_what_is_high_of_the_other():
    model = small_model()
    mixture = torch.randn(1, 2, 9001)
    estimates = model(mixture)
    assert estimates.shape == (1, 4, 2, 9001)
    low, inner = model.low(to_quarter_rate(mixture)), slice(100, -100)
    found, size = to_quarter_rate(estimates), float(low.square().mean())
    # Up to 4 kHz, which the filter lets through; of what is cut at 5.5 kHz it takes a second cut.
    spectra = [np.fft.rfft(part[..., inner].numpy())[..., :700] for part in (found, low)]
    assert np.square(np.abs(spectra[0] - spectra[1])).mean() < 1e-5 * (
        np.square(np.abs(spectra[1])).mean()
    )
    assert size > 0
    for parameter in model.low.parameters():
        parameter.zero_()
    high = np.fft.rfft((model(mixture) - estimates).numpy())
    edge = 5600 * 9001 // 44100
    assert np.abs(high[..., edge:]).mean() < 1e-2 * np.abs(high[..., :edge]).mean()


def test_its_weights_are_laid_out_without_torch_and_come_back_from_a_file(tmp_path):
    model = small_model()
    shapes = [(name, tuple(value.shape)) for name, value in model.state_dict().items()]
    assert list(weight_shapes("two_rate", model.config).items()) == shapes
    save_checkpoint(tmp_path / "two.safetensors", model)
    again = load_model(tmp_path / "two.safetensors")
    assert describe_model(again) == describe_model(model)
    mixture = torch.randn(1, 2, 700)
    with torch.no_grad():
        assert torch.equal(again(mixture), model(mixture))
    assert describe_model(build_model(*describe_model(model))) == describe_model(model)


def test_a_run_starts_from_it_or_near_silence_and_may_recompute(tmp_path):
    model = small_model()
    file = tmp_path / "two.safetensors"
    save_checkpoint(file, model)
    settings = [f"model.{name}={value}" for name, value in SMALL.items()]
    recipe = read_recipe("base", ["model.architecture=two_rate_demucs", *settings])
    started, words = start_from(recipe, str(file))
    assert "all of them" in words
    mixture = torch.randn(1, 2, 2000)
    quiet = dataclasses.replace(recipe, start=dataclasses.replace(recipe.start, output_scale=1e-3))
    with torch.no_grad():
        assert torch.equal(started.eval()(mixture), model(mixture))
        loud = float(new_model(recipe).eval()(mixture).std())
        assert float(new_model(quiet).eval()(mixture).std()) < 0.5 * loud
    recompute_activations(started)
    started(mixture).sum().backward()
    assert all(parameter.grad is not None for parameter in started.parameters())
