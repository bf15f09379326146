"""The catalog of public models holds together."""

from __future__ import annotations

import re

import pytest
import torch

from unbraid.models.registry import build_model
from unbraid.zoo.cards import public_card
from unbraid.zoo.catalog import load_catalog

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
        assert re.fullmatch(r"|[0-9a-f]{8}|[0-9a-f]{64}", model.known_hash), name
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
    assert "is not known" in text
    assert "Multisong" in text
