"""Each of the newer architectures learns: its loss falls on one small batch."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from training.tones import STEMS, a_batch, bf16_error
from unbraid.errors import SettingsError
from unbraid.models.registry import build_model
from unbraid.training.config import ModelRecipe
from unbraid.training.recipes import read_recipe
from unbraid.training.start import new_model, start_from
from unbraid.zoo.checkpoint import save_checkpoint
from unbraid.zoo.open import open_model

ROFORMER = {
    "width": 16, "depth": 1, "heads": 2, "head_width": 8, "n_fft": 128, "window": 128, "hop": 32,
    "mask_growth": 1, "silence_dc": False,
}  # fmt: skip
TINY = {
    "htdemucs": {
        "width": 8, "bottleneck": 16, "heads": 2, "transformer_layers": 2, "n_fft": 1024,
        "depth": 2, "segment_s": 0.1,
    },
    "bs_roformer": {**ROFORMER, "bands": [5] * 13},
    "mel_band_roformer": {**ROFORMER, "mel_bands": 8},
    "scnet": {
        "widths": [4, 8, 16], "n_fft": 256, "window": 256, "hop": 64, "dual_paths": 2,
        "band_shares": [0.3, 0.3, 0.4], "band_strides": [1, 2, 4], "band_kernels": [3, 2, 4],
    },
    "tfc_tdf": {
        "n_fft": 256, "hop": 64, "used_bins": 128, "subbands": 2, "width": 8, "growth": 4,
        "scales": 2, "blocks": 1, "bottleneck": 2,
    },
}  # fmt: skip
RECIPES = {
    "htdemucs": "htdemucs",
    "bs_roformer": "bs-roformer",
    "mel_band_roformer": "mel-band-roformer",
    "scnet": "scnet",
    "tfc_tdf": "mdx23c",
}


@pytest.mark.parametrize("architecture", TINY)
def test_the_loss_falls_on_one_batch(architecture):
    torch.manual_seed(0)
    model = build_model(architecture, {"stems": STEMS, **TINY[architecture]}).train()
    sources = a_batch()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(25):
        loss = (model(sources.sum(1)) - sources).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        if losses[-1] < 0.8 * losses[0]:
            return
    pytest.fail(f"it fell by less than a fifth: {losses}")


@pytest.mark.parametrize("architecture", TINY)
def test_a_checkpoint_of_ours_keeps_config_and_weights(architecture, tmp_path):
    model = build_model(architecture, {"stems": STEMS, **TINY[architecture]}).eval()
    save_checkpoint(tmp_path / "model.safetensors", model)
    stored = open_model(tmp_path / "model.safetensors")
    assert stored.architecture == architecture
    assert stored.config == model.config
    assert set(stored.weights) == set(model.state_dict())


@pytest.mark.parametrize("architecture", RECIPES)
def test_a_recipe_of_its_own_ships(architecture):
    recipe = read_recipe(RECIPES[architecture])
    assert recipe.model.architecture == architecture
    assert recipe.description


@pytest.mark.parametrize("architecture", TINY)
def test_bf16_changes_estimates_little(architecture):
    torch.manual_seed(0)
    model = build_model(architecture, {"stems": STEMS, **TINY[architecture]})
    assert bf16_error(model) < 0.1


@pytest.mark.parametrize(
    ("architecture", "config"),
    [*TINY.items(), pytest.param("scnet", {**TINY["scnet"], "masks": True}, id="masked scnet")],
)
@pytest.mark.parametrize("stems", [("voice", "piano"), ("voice", "piano", "bells")])
def test_other_stems_start_from_new_last_layers(architecture, config, stems, tmp_path):
    path = tmp_path / "parent.safetensors"
    parent = build_model(architecture, {"stems": STEMS, **config})
    save_checkpoint(path, parent)
    names = ", ".join(f'"{stem}"' for stem in stems)
    settings = [f"model.architecture={architecture}", f"model.stems=[{names}]", "seed=3"]
    model, line = start_from(read_recipe("base", settings), str(path))
    assert f"start from new weights for {', '.join(stems)}" in line
    there, here = parent.state_dict(), model.state_dict()
    # Biases and norms may start equal; weights of layers are drawn.
    drawn = [key for key, value in here.items() if value.ndim > 1]
    kept = {key for key in drawn if key in there and torch.equal(here[key], there[key])}
    heads = (
        "mask_estimators.",
        "final_conv.",
        "mask_layer.",
        "decoder.1.1.",
        "spec_decoder.1.conv.",
    )
    assert kept and not any(key.startswith(heads) for key in kept)
    assert any(key.startswith(heads) for key in drawn)


def test_settings_of_the_start_that_an_architecture_lacks_are_refused(tmp_path):
    path = tmp_path / "parent.safetensors"
    save_checkpoint(path, build_model("scnet", {"stems": STEMS, **TINY["scnet"]}))
    with pytest.raises(SettingsError, match="the scnet has none"):
        start_from(read_recipe("scnet", ["start.widen=true"]), str(path))
    with pytest.raises(SettingsError, match="the scnet has none"):
        start_from(read_recipe("hybrid", ["start.widen=true"]), str(path))
    recipe = read_recipe("mdx23c", ["start.output_scale=0.1"])
    with pytest.raises(SettingsError, match="output_scale is for networks"):
        new_model(replace(recipe, model=ModelRecipe("tfc_tdf", TINY["tfc_tdf"])))
