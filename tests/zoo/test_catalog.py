"""The catalog of public models holds together."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch

from small_composites import MASK_UNET
from unbraid.models.registry import build_model
from unbraid.zoo import cards as zoo_cards
from unbraid.zoo import open as zoo_open
from unbraid.zoo.cards import public_card
from unbraid.zoo.catalog import CatalogBag, load_catalog
from unbraid.zoo.chains import ChainRecipe
from unbraid.zoo.checkpoint import save_checkpoint

COMMUNITY = [name for name, model in load_catalog().models.items() if model.settings is not None]


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] * (n != "scnet-small")) for n in COMMUNITY],
)
def test_settings_make_a_network_that_fills_the_published_file(name):
    model = load_catalog().models[name]
    with torch.device("meta"):
        network = build_model(model.settings.architecture, model.settings.config)
    values = sum(weight.numel() for weight in network.state_dict().values())
    assert 4 * values / model.size_bytes == pytest.approx(1, abs=3e-3)
    stems = (*network.spec.stems, model.settings.complement)
    assert tuple(filter(None, stems)) == model.stems


def test_every_model_has_an_address_a_licence_and_an_honest_flag():
    for name, model in load_catalog().models.items():
        assert model.address.startswith("https://")
        assert model.licence
        assert re.fullmatch(r"|[0-9a-f]{8}|[0-9a-f]{12}|[0-9a-f]{64}", model.known_hash), name
        assert model.musdb_test_seen in (True, False, None)
        assert all(":" in score for score in model.scores)
        if model.trained_on == "not disclosed":
            assert model.musdb_test_seen is None


def test_weights_of_disputed_origin_are_not_listed():
    catalog = load_catalog()
    assert catalog.doubtful
    assert not [m for m in catalog.models.values() if m.size_bytes in catalog.doubtful]
    assert not [name for name in catalog.models if "sw" in name.split("-")]


def test_one_stem_of_the_fine_tuned_bag_needs_one_of_its_files():
    recipe = load_catalog().bags["htdemucs_ft"].recipe
    assert recipe.weights == tuple(
        tuple(float(row == column) for column in range(4)) for row in range(4)
    )
    card = public_card("htdemucs_ft")
    assert len(card.files) == 4
    assert card.musdb_test_seen is False


def test_a_card_says_what_is_not_known():
    text = public_card("melband-kim").text
    assert "It is unknown" in text
    assert "Multisong" in text


def test_chains_name_models_of_the_catalog_and_state_the_stems_that_they_give():
    catalog = load_catalog()
    chains = {n: bag for n, bag in catalog.bags.items() if isinstance(bag.recipe, ChainRecipe)}
    assert chains
    for name, bag in chains.items():
        given = [
            taken or catalog.members(link)[0].stems
            for link, taken in zip(bag.recipe.models, bag.recipe.stems, strict=True)
        ]
        assert bag.stems == tuple(dict.fromkeys(s for taken in reversed(given) for s in taken))
        assert len(catalog.members(name)) == sum(
            len(catalog.members(link)) for link in bag.recipe.models
        )


def test_a_chain_of_the_catalog_opens_from_files_in_the_cache(tmp_path, monkeypatch):
    torch.manual_seed(0)
    files = {"a.safetensors": ["vocals", "rest"], "b.safetensors": ["drums", "vocals"]}
    known = load_catalog()
    for file, stems in files.items():
        model = build_model("mask_unet", MASK_UNET | {"stems": stems})
        save_checkpoint(tmp_path / file, model, licence=file)
    models = {
        file[0]: replace(
            known.models["melband-kim"], name=file, file=f"https://host/{file}", licence=file
        )
        for file in files
    }
    recipe = ChainRecipe(("a", "b"), (("vocals",), ()))
    bag = CatalogBag("both", recipe, "Both.", stems=("drums", "vocals"))
    catalog = replace(known, models=models, bags={"both": bag})
    for module in (zoo_open, zoo_cards):
        monkeypatch.setattr(module, "load_catalog", lambda: catalog)
        monkeypatch.setattr(module, "cache_dir", lambda: tmp_path)
    assert zoo_open.open_model("both").config.spec.stems == public_card("both").stems
    assert zoo_open.licence_of("both") == "a.safetensors; b.safetensors"
    assert public_card("both").local
