from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from unbraid.errors import SettingsError
from unbraid.models.registry import build_model
from unbraid.training.config import Recipe, model_member
from unbraid.training.recipes import (
    find_recipes,
    read_recipe,
    recipe_folder,
    recipe_names,
    write_recipe,
)
from unbraid.training.start import new_model
from unbraid.training.tables import plain_recipe, recipe_from


def test_base_is_the_defaults_written_out_in_full():
    assert read_recipe("base") == Recipe()
    text = (recipe_folder() / "base.toml").read_text(encoding="utf-8")
    for section, keys in plain_recipe(Recipe()).items():
        assert all(f"\n{key} = " in text for key in (keys if isinstance(keys, dict) else [section]))


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_that_ships_makes_a_model_and_reads_back_as_written(name, tmp_path):
    recipe = read_recipe(name)
    assert recipe.description or name == "base"
    path = tmp_path / "again.toml"
    path.write_text(write_recipe(recipe), encoding="utf-8")
    assert plain_recipe(read_recipe(path)) == plain_recipe(recipe)


@pytest.mark.parametrize("name", recipe_names())
def test_no_segment_is_far_beyond_the_excerpts_that_a_recipe_trains_on(name):
    recipe = read_recipe(name)
    spec = model_member(recipe).config.spec
    assert spec.segment_samples / spec.sample_rate <= 4.001 * recipe.excerpts.excerpt_s


def test_the_page_on_training_names_every_recipe():
    page = (Path(__file__).parents[2] / "docs/training.md").read_text(encoding="utf-8")
    parts = {"base", "svd", "small-system"}  # what other recipes share
    alone = [name for name in recipe_names() if "/" not in name and name not in parts]
    assert [name for name in alone if f"`{name}`" not in page] == []


@pytest.mark.parametrize(
    "name", ["htdemucs", "bs-roformer", "mel-band-roformer", "scnet", "mdx23c"]
)
def test_the_page_on_training_has_settings_that_make_a_recipe_small(name):
    page = (Path(__file__).parents[2] / "docs/training.md").read_text(encoding="utf-8")
    section = page.split("### Newer architectures")[1].split("## Recipes")[0]
    rows = [line for line in section.splitlines() if line.startswith("|") and f"`{name}`" in line]
    row = rows[0] if rows else section.split(f"unbraid train {name}")[2].split("\n\n")[0]
    settings = re.findall(r"model\.\w+=(?:\[[^]]*\]|[\w.]+)", row)
    model = new_model(read_recipe(name, [*settings, "model.segment_s=2"]))
    assert len(settings) >= 2 and sum(p.numel() for p in model.parameters()) < 10e6


def test_every_ablation_that_is_named_ships():
    wanted = {"no-residual", "no-lstm", "no-attention", "no-svd", "no-group-norm", "no-ema"}
    assert wanted | {"reference", "relu"} <= set(find_recipes("ablations"))
    assert wanted <= set(find_recipes("ablations-hybrid"))
    for name, path in find_recipes("ablations").items():
        changed = plain_recipe(read_recipe(path)) != plain_recipe(read_recipe("time-only"))
        assert changed, name  # the description of the reference differs too


def test_the_small_ablations_have_one_budget_of_steps_and_parameters():
    recipes = {n: read_recipe(path) for n, path in find_recipes("ablations-small").items()}
    counts = {
        name: sum(weight.numel() for weight in new_model(recipe).parameters())
        for name, recipe in recipes.items()
    }
    assert all(abs(count / counts["hybrid"] - 1) < 0.11 for count in counts.values()), counts
    for recipe in recipes.values():
        same = ("seed", "epochs", "excerpts", "optimizer", "augment", "loss", "ema")
        assert all(getattr(recipe, key) == getattr(recipes["hybrid"], key) for key in same)
        assert (
            recipe.model.settings["norm_from"] == 4 and "norm_groups" not in recipe.model.settings
        )


def test_the_penalty_of_the_released_models_is_that_of_the_reference():
    recipe = read_recipe("hybrid")
    svd = recipe.svd
    assert (svd.weight, svd.rank, svd.iterations, svd.min_size_mb) == (1e-5, 100, 4, 1.0)
    assert svd.swap_transposed and recipe.optimizer.beta2 == 0.9998


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"optimizer": {"learning_rate": 1}}, "optimizer.learning_rate"),
        ({"loss": {"domain": "bands"}}, "loss.kind"),
        ({"loss": {"domain": "bands", "kind": "log", "angle": 1.0}}, "loss.angle needs waveforms"),
        ({"validation": {"shifts": 5000}}, "validation: shifts"),
        (
            {
                "validation": {"segment_s": 8},
                "model": {"architecture": "htdemucs", "segment_s": 6.0},
            },
            "validation: a segment of 8 s is longer than the 6 s that the model can take",
        ),
        ({"optimzer": {}}, "did you mean 'optimizer'"),
        ({"lr": 1e-3}, "did you mean 'optimizer.lr'"),
        ({"model": {"widht": 8}}, "did you mean 'width'"),
        ({"model": {"architecture": "hybrid"}}, "did you mean 'hybrid_demucs'"),
        ({"model": {"width": "wide"}}, "model: width is a whole number"),
        ({"epochs": 1.5}, "epochs is a whole number"),
        ({"epochs": True}, "epochs is a whole number"),
        ({"epochs": 0}, "epochs is 1 or more"),
        ({"optimizer": {"lr": float("nan")}}, "optimizer.lr is a number"),
        ({"optimizer": {"lr": 0}}, "optimizer.lr is above 0"),
        ({"optimizer": 3}, "optimizer is a table"),
        ({"ema": {"batch": 0.9}}, "ema.batch is a list"),
        ({"ema": {"batch": [1.5]}}, "between 0 and 1"),
        ({"augment": {"scale": [1.0]}}, "list of 2 values"),
        ({"augment": {"flip": 1}}, "augment.flip is true or false"),
        ({"augment": {"shift_s": -1.0}}, "augment: sources are shifted"),
        ({"loss": {"kind": "l2"}}, "loss.kind is one of l1, mse"),
        ({"loss": {"weights": {"vocal": 1}}}, "did you mean 'vocals'"),
        ({"loss": {"weights": dict.fromkeys(("drums", "bass", "other", "vocals"), 0)}}, "at least"),
        ({"model": {"n_fft": 1000}}, "model: "),
    ],
)
def test_a_recipe_that_is_wrong_is_refused_in_one_line(table, message, unchecked):
    with pytest.raises(SettingsError) as caught:
        recipe_from(table)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_settings_reach_any_key_and_texts_need_no_quotes():
    changes = ["optimizer.lr=1e-4", "loss.kind=mse", "augment.scale=false", "model.width=16"]
    recipe = read_recipe("hybrid", [*changes, "loss.weights.bass=0.5", 'model.stems=["bass"]'])
    assert recipe.optimizer.lr == 1e-4 and recipe.loss.kind == "mse"
    assert recipe.augment.scale is None and recipe.model.settings["width"] == 16
    assert recipe.loss.weights == {"bass": 0.5}
    for wrong in ("optimizer.lr", "=3", "optimizer.lr.deep=3", "epochs.x=1"):
        with pytest.raises(SettingsError):
            read_recipe("hybrid", [wrong])


def test_bases_chain_and_do_not_circle(tmp_path):
    (tmp_path / "a.toml").write_text('base = "b"\n[optimizer]\nlr = 1.0')
    (tmp_path / "b.toml").write_text('base = "hybrid"\n[optimizer]\nlr = 2.0\nbeta1 = 0.5')
    recipe = read_recipe(tmp_path / "a.toml")
    assert (recipe.optimizer.lr, recipe.optimizer.beta1, recipe.svd.rank) == (1.0, 0.5, 100)
    (tmp_path / "b.toml").write_text('base = "a"')
    with pytest.raises(SettingsError, match="circle"):
        read_recipe(tmp_path / "a.toml")


def test_files_that_are_no_recipes_are_refused(tmp_path):
    with pytest.raises(SettingsError, match="did you mean 'hybrid'"):
        read_recipe("hybird")
    (tmp_path / "broken.toml").write_text("lr = = 3")
    with pytest.raises(SettingsError, match="not TOML"):
        read_recipe(tmp_path / "broken.toml")
    (tmp_path / "latin.toml").write_bytes(b"description = '\xff'")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_recipe(tmp_path / "latin.toml")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingsError, match="holds no recipes"):
        find_recipes(str(tmp_path / "empty"))


def test_the_small_systems_have_one_budget_and_one_way_of_training():
    recipes = {n: read_recipe(path) for n, path in find_recipes("systems-small").items()}
    assert len({recipe.model.architecture for recipe in recipes.values()}) == len(recipes)
    shared = plain_recipe(read_recipe("small-system"))
    for name, recipe in recipes.items():
        with torch.device("meta"):
            network = build_model(recipe.model.architecture, recipe.model.settings)
        count = sum(weight.numel() for weight in network.parameters())
        assert 2e6 <= count <= 3e6, (name, count)
        assert (network.spec.sample_rate, network.spec.channels) == (44100, 2), name
        own = plain_recipe(recipe)
        assert all(
            own[key] == shared[key] for key in shared.keys() - {"description", "model", "loss"}
        )


def test_every_classic_system_has_a_recipe_at_its_size():
    small = {
        read_recipe(path).model.architecture for path in find_recipes("systems-small").values()
    }
    whole = {read_recipe(path).model.architecture for path in find_recipes("systems").values()}
    assert small - {"hybrid_demucs"} <= whole
