"""The command `models`."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest

from unbraid.cli.main import main
from unbraid.costs import processor_rate
from unbraid.models.registry import build_model
from unbraid.zoo import open as load
from unbraid.zoo.checkpoint import save_checkpoint


@pytest.fixture(autouse=True)
def cards(monkeypatch, tmp_path):
    card = load.ModelCard(
        name="small",
        path=tmp_path / "small.safetensors",
        stems=("drums", "vocals"),
        licence="CC-BY-4.0",
        summary="A small model.",
        text="# small\n\nA small model.\n",
        size_mb=1.5,
    )
    monkeypatch.setattr(load, "list_models", lambda: [card])


@pytest.mark.parametrize("arguments", [["models"], ["models", "list"]])
def test_models_are_listed(arguments, capsys):
    assert main(arguments) == 0
    listed = capsys.readouterr().out
    assert all(text in listed for text in ("small", "1.5 MB", "CC-BY-4.0", "drums, vocals"))


def test_recommended_models_come_first_with_the_time_they_take_here(monkeypatch, capsys):
    (card,) = load.list_models()
    best = dataclasses.replace(card, name="best", use="best vocals", work=2.0)
    monkeypatch.setattr(load, "list_models", lambda: [card, best])
    monkeypatch.setattr(processor_rate, "multiply_adds_per_s", lambda: 30e9)
    assert main(["models"]) == 0
    line = capsys.readouterr().out.splitlines()[2]
    assert line.split()[:7] == ["best", "vocals", "-m", "best", "2", "MB", "5"]
    assert "5 min" in line


def test_the_rate_of_this_processor_is_that_of_a_product():
    assert 1e7 < processor_rate.multiply_adds_per_s(64, rounds=1) < 1e15


def test_models_are_listed_as_json(capsys):
    assert main(["models", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stems"] == ["drums", "vocals"]


@pytest.mark.parametrize("name", ["mini", "quartet"])
def test_a_bundled_model_needs_no_download(name, capsys):
    assert main(["models", "pull", name]) == 0
    path, licence = capsys.readouterr().out.splitlines()
    assert Path(path).is_file() and licence.startswith("licence of the weights: ")


def test_a_file_is_not_downloaded(tmp_path, capsys):
    (tmp_path / "own.ckpt").touch()
    assert main(["models", "pull", str(tmp_path / "own.ckpt")]) == 2
    assert "there is nothing to download" in capsys.readouterr().err


def test_a_card_is_shown(capsys):
    assert main(["models", "show", "small"]) == 0
    assert capsys.readouterr().out.startswith("# small")


@pytest.mark.parametrize("arguments", [["show"], ["show", "large"], ["list", "small"]])
def test_a_wrong_request_is_told(arguments, capsys):
    assert main(["models", *arguments]) == 2
    assert capsys.readouterr().err.startswith("unbraid: ")


@pytest.fixture
def own(tmp_path):
    """A model that somebody trained."""
    config = {"stems": ["bass", "voice"], "width": 8, "depth": 3, "segment_s": 1.0}
    path = tmp_path / "own.safetensors"
    best = {"epoch": 3, "stems": {"bass": 3.14159}}
    provenance = {"origin": "new weights, seed 1", "best": best, "recipe": {"seed": 1}}
    save_checkpoint(path, build_model("demucs", config), licence="CC0-1.0", provenance=provenance)
    return path


def test_a_file_is_shown_as_it_describes_itself(own, capsys):
    assert main(["models", "show", str(own)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"# {own}"
    for line in (
        "architecture: demucs",
        "stems: bass, voice",
        "sample rate: 44100 Hz, stereo",
        "segment: 1 s",
        "licence of the weights: CC0-1.0",
        f"sha256: {hashlib.sha256(own.read_bytes()).hexdigest()}",
        "origin: new weights, seed 1",
        "best: epoch 3, stems bass 3.142",
    ):
        assert f"- {line}" in lines
    assert main(["models", "show", str(own), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["size_mb"] == own.stat().st_size / 1e6
    assert facts["provenance"]["recipe"] == {"seed": 1}


def test_a_bag_in_a_file_is_shown_with_its_members(own, tmp_path, capsys):
    (tmp_path / "bag.yaml").write_text("models: [own, own]\nsegment: 0.5\n")
    assert main(["models", "show", str(tmp_path / "bag.yaml")]) == 0
    shown = capsys.readouterr().out
    assert "architecture: bag (demucs)" in shown and "segment: 0.5 s" in shown
    assert shown.count("- member own.safetensors: demucs, ") == 2
    assert "licence of the weights: CC0-1.0" in shown


def test_a_path_to_nothing_or_to_another_file_is_told(tmp_path, capsys):
    (tmp_path / "song.wav").write_bytes(b"RIFF")
    for name, said in (("none.ckpt", "none.ckpt"), ("song.wav", "not a model")):
        assert main(["models", "show", str(tmp_path / name)]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1


def test_a_typing_error_is_answered_with_the_nearest_name(capsys):
    assert main(["models", "show", "smal"]) == 2
    assert "'smal' (did you mean 'small'?)" in capsys.readouterr().err
