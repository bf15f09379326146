from __future__ import annotations

import pytest
import torch

from training.small_runs import STEMS
from unbraid.errors import SettingsError
from unbraid.models.registry import build_model
from unbraid.training.recipes import read_recipe
from unbraid.training.start import new_model, recipe_on, start_from
from unbraid.training.widen import widen
from unbraid.zoo.checkpoint import save_checkpoint

HYBRID = {
    "stems": STEMS,
    "width": 4,
    "depth": 3,
    "n_fft": 64,
    "segment_s": 1.0,
    "norm_from": 1,
    "lstm_from": 1,
    "attention_from": 1,
    "residual_scale": 0.5,
    "residual_compression": 1,
}


def model_of(architecture: str, **config) -> torch.nn.Module:
    torch.manual_seed(0)
    return build_model(architecture, config).eval()


def noise() -> torch.Tensor:
    return torch.randn(1, 2, 6000, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize(
    ("architecture", "config"),
    [
        ("hybrid_demucs", HYBRID),
        ("spectrogram_demucs", HYBRID),
        ("demucs", {"stems": STEMS, "width": 8, "depth": 3, "segment_s": 1.0}),
    ],
)
def test_a_wider_model_gives_the_same_estimates(architecture, config, factor):
    narrow = model_of(architecture, **config)
    wide = widen(narrow, factor * narrow.config.width)
    assert wide.config.width == factor * narrow.config.width
    with torch.no_grad():
        ours, theirs = wide(noise()), narrow(noise())
    assert torch.allclose(ours, theirs, atol=1e-5 * float(theirs.abs().max()))


def test_copies_of_a_feature_get_gradients_of_their_own():
    wide = widen(model_of("hybrid_demucs", **HYBRID), 8)
    wide(noise()).square().mean().backward()
    gradient = wide.time_encoder[0].conv.weight.grad
    assert not torch.allclose(gradient[0], gradient[1], rtol=1e-2)


@pytest.mark.parametrize("width", [2, 6, 9])
def test_a_width_that_is_no_multiple_is_refused(width):
    with pytest.raises(SettingsError, match=f"width 4 can be widened to a multiple.*got {width}"):
        widen(model_of("hybrid_demucs", **HYBRID), width)


def test_layers_that_grow_otherwise_are_refused():
    narrow = model_of(
        "hybrid_demucs", **{**HYBRID, "growth": 1.7, "norm_from": 4, "attention_from": 4}
    )
    with pytest.raises(SettingsError, match="not 3 times as many"):
        widen(narrow, 12)


def test_a_run_starts_from_a_narrower_model_if_the_recipe_says_widen(tmp_path, small_recipe):
    path = tmp_path / "narrow.safetensors"
    narrow = new_model(read_recipe(small_recipe, ["seed=7"])).eval()
    save_checkpoint(path, narrow)
    recipe = recipe_on(read_recipe(small_recipe, ["model.width=8", "start.widen=true"]), str(path))
    assert recipe.model.settings["width"] == 8
    wide, line = start_from(recipe, str(path))
    assert "widened from 4 to 8" in line
    mixture = noise()[:, :1]
    with torch.no_grad():
        assert torch.allclose(wide.eval()(mixture), narrow(mixture), atol=1e-4)
