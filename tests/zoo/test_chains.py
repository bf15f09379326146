"""Chains in files: honest ones run, all others are refused in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from small_composites import MASK_UNET
from unbraid.engines.load import load_model, load_to_run
from unbraid.errors import CheckpointError
from unbraid.models.default import DEFAULT_MODEL
from unbraid.models.registry import build_model
from unbraid.zoo.checkpoint import save_checkpoint
from unbraid.zoo.open import licence_of, list_models, open_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    for name, stems in (("voice", ["vocals", "rest"]), ("band", ["drums", "other"])):
        model = build_model("mask_unet", MASK_UNET | {"stems": stems})
        save_checkpoint(tmp_path / f"{name}.safetensors", model, licence="MIT")
    return tmp_path


def write(folder: Path, text: str, name: str = "both.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


HONEST = "chain:\n- model: voice\n  stems: [vocals]\n- model: band\n"


def test_a_chain_in_a_file_runs_and_adds_up(folder):
    mixture = np.random.default_rng(0).standard_normal((1, 2, 900), np.float32)
    model = load_to_run(write(folder, HONEST))
    assert model.spec.stems == ("drums", "other", "vocals")
    np.testing.assert_allclose(model(mixture).sum(1), mixture, atol=1e-4)


def test_called_by_hand_it_gives_what_the_engines_give(folder):
    mixture = np.random.default_rng(0).standard_normal((1, 2, 900), np.float32)
    path = write(folder, HONEST)
    by_hand = np.asarray(load_model(path)(mixture))
    np.testing.assert_allclose(load_to_run(path)(mixture), by_hand, atol=1e-4)


def test_a_chain_may_stand_in_a_chain(folder):
    write(folder, HONEST)
    outer = write(folder, "chain:\n- model: both\n  stems: [drums]\n- model: band\n", "outer.yaml")
    assert load_to_run(outer).spec.stems == ("drums", "other")


def test_its_fingerprint_changes_with_what_is_taken(folder):
    one = open_model(write(folder, HONEST)).fingerprint()
    other = open_model(write(folder, HONEST.replace("vocals", "rest"))).fingerprint()
    assert one != other == open_model(folder / "both.yaml").fingerprint()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("chain: []", "1 to 16 links"),
        ("chain: voice", "1 to 16 links"),
        ("chain:\n" + "- model: voice\n" * 17, "1 to 16 links"),
        (HONEST + "weights: []\n", "links and nothing else"),
        ("chain:\n- voice\n", "has a model"),
        ("chain:\n- model: voice\n  path: x\n", "has a model"),
        ("chain:\n- model: ../voice\n", "not a model name"),
        ("chain:\n- model: /etc/passwd\n", "not a model name"),
        ("chain:\n- model: [voice]\n", "not a model name"),
        ("chain:\n- model: voice\n  stems: vocals\n", "list of names"),
        ("chain:\n- model: voice\n- model: band\n", "every link except the last"),
        ("chain:\n- model: voice\n  stems: [drums]\n- model: band\n", "no stem 'drums'"),
        ("chain:\n- model: nothing\n", "no model 'nothing'"),
        ("chain:\n- &a {model: voice}\n- *a\n", "references"),
        ("chain:\n- !!python/name:os.system {model: voice}\n", "tag"),
        ("chain:\n- model: both\n  stems: [drums]\n- model: band\n", "in a circle"),
    ],
)
def test_all_else_is_refused(folder, text, said):
    with pytest.raises(CheckpointError, match=said) as refused:
        open_model(write(folder, text))
    assert "\n" not in str(refused.value)


def test_the_bundled_chain_has_a_card_with_the_licences_of_its_links():
    card = next(card for card in list_models() if card.name == DEFAULT_MODEL)
    assert card.stems == ("drums", "bass", "other", "vocals")
    assert "quartet-rest: MIT" in card.licence
    assert "questions there whether it covers the models are unanswered" in card.licence
    assert licence_of(DEFAULT_MODEL) == card.licence
    assert 40 < card.size_mb < 45
    assert card.summary.startswith("Drums, bass, other and vocals")


def test_the_bundled_chain_adds_up_without_torch():
    model = load_to_run(DEFAULT_MODEL)
    mixture = np.random.default_rng(0).standard_normal((1, 2, 30_000), np.float32)
    assert model.engine.startswith("numpy")
    np.testing.assert_allclose(model(mixture).sum(1), mixture, atol=1e-4)
