"""Models of single stems, opened as one."""

from __future__ import annotations

import pytest
import torch

from small_composites import TASNET
from unbraid.cli.main import main
from unbraid.engines.load import load_model, load_module
from unbraid.errors import CheckpointError
from unbraid.models.open_unmix.public import public_name
from unbraid.models.registry import build_model
from unbraid.zoo import joined
from unbraid.zoo.checkpoint import save_checkpoint
from unbraid.zoo.open import open_model

STEMS = ("bass", "drums", "vocals")
UNMIX = {"n_fft": 512, "hop": 128, "bins": 100, "hidden": 16, "lstm_layers": 1}


def write_unmix(folder):
    """A file for each stem of an Open-Unmix, as its package saves them; the whole network."""
    torch.manual_seed(5)
    whole = build_model("open_unmix", {**UNMIX, "stems": STEMS}).eval()
    for stem in STEMS:
        named = ((*public_name(own, STEMS), value) for own, value in whole.state_dict().items())
        torch.save({name: value for of, name, value in named if of == stem}, folder / f"{stem}.pth")
    return whole


def write_tasnet(folder, name, stems, **settings):
    torch.manual_seed(len(name))
    model = build_model("conv_tasnet", {**TASNET, "stems": stems, **settings}).eval()
    save_checkpoint(folder / f"{name}.safetensors", model)
    return model


def estimates(model, mixture):
    with torch.no_grad():
        return torch.as_tensor(model(mixture))


def test_a_folder_of_open_unmix_is_the_whole_open_unmix_with_its_filter(tmp_path):
    whole = write_unmix(tmp_path)
    stored = open_model(tmp_path)
    assert stored.spec.stems == STEMS and stored.config.wiener_iterations == 1
    mixture = torch.randn(1, 2, 3000)
    assert torch.equal(estimates(load_module(stored), mixture), estimates(whole, mixture))


def test_files_named_one_by_one_are_imported_as_one_model(tmp_path, capsys):
    whole, target = write_unmix(tmp_path), tmp_path / "whole.safetensors"
    files = [str(tmp_path / f"{stem}.pth") for stem in STEMS]
    assert main(["models", "import", *files, "-o", str(target)]) == 0
    assert "open_unmix, stems bass, drums, vocals" in capsys.readouterr().out
    mixture = torch.randn(1, 2, 3000)
    assert torch.equal(estimates(load_model(target), mixture), estimates(whole, mixture))


def test_a_list_joins_any_models_and_may_filter_them(tmp_path):
    one = write_tasnet(tmp_path, "a", ("vocals",))
    two = write_tasnet(tmp_path, "b", ("drums", "bass"))
    (tmp_path / "all.yaml").write_text("per_stem: [a, b]\n")
    mixture = 0.1 * torch.randn(1, 2, 3000)
    found = estimates(load_model(tmp_path / "all.yaml"), mixture)
    parts = torch.cat([estimates(one, mixture), estimates(two, mixture)], 1)
    assert open_model(tmp_path).spec.stems == ("vocals", "drums", "bass")
    assert torch.equal(found, parts)
    (tmp_path / "all.yaml").write_text("per_stem: [a, b]\nwiener: 1\n")
    filtered = estimates(load_model(tmp_path / "all.yaml"), mixture)
    left = (filtered.sum(1) - mixture).abs().max()
    assert left < 0.05 * mixture.abs().max() < (parts.sum(1) - mixture).abs().max()


def test_only_models_of_requested_stems_run(tmp_path):
    write_tasnet(tmp_path, "a", ("vocals",))
    write_tasnet(tmp_path, "b", ("drums",))
    (tmp_path / "all.yaml").write_text("per_stem: [a, b]\n")
    whole = load_model(tmp_path / "all.yaml")
    narrow = whole._whole.narrow(["drums"])
    mixture = torch.randn(1, 2, 1000)
    found = estimates(narrow, mixture)
    assert not found[:, 0].any() and torch.equal(found[:, 1], estimates(whole, mixture)[:, 1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("per_stem: [a, a]", "two of the models have the stem 'vocals'"),
        ("per_stem: [a, slow]", "have the same sample_rate, got 44100, 8000"),
        ("per_stem: []", "a list of 1 to 64 names"),
        ("per_stem: ['../a']", "not a model name"),
        ("per_stem: [a]\nwiener: many", "a number of iterations"),
        ("per_stem: [a]\nwiener: 1", "2 stems or more"),
        ("per_stem: [a]\nweights: [1]", "nothing else; got 'weights'"),
        ("per_stem: [a, nobody]", "no model 'nobody' in it"),
    ],
)
def test_what_does_not_go_together_is_told(text, message, tmp_path):
    write_tasnet(tmp_path, "a", ("vocals",))
    write_tasnet(tmp_path, "slow", ("bass",), sample_rate=8000)
    (tmp_path / "all.yaml").write_text(text + "\n")
    with pytest.raises(CheckpointError, match=message):
        open_model(tmp_path / "all.yaml")


def test_a_folder_of_files_without_stems_in_their_names_needs_a_choice(tmp_path):
    write_tasnet(tmp_path, "a", ("vocals",))
    write_tasnet(tmp_path, "b", ("drums",))
    with pytest.raises(Exception, match="say which"):
        open_model(tmp_path)


def test_weights_of_a_joined_model_are_those_of_its_parts(tmp_path):
    write_unmix(tmp_path)
    weights = open_model(tmp_path).weights
    assert isinstance(weights, joined.Together)
    assert len(weights) == len(list(weights)) == len(set(weights))
    with pytest.raises(KeyError):
        weights["nets.9.fc1.weight"]
