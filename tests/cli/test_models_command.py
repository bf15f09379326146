"""The command `models`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from unbraid.cli.main import main
from unbraid.costs import processor_rate
from unbraid.zoo import open as load


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


def test_a_typing_error_is_answered_with_the_nearest_name(capsys):
    assert main(["models", "show", "smal"]) == 2
    assert "'smal' (did you mean 'small'?)" in capsys.readouterr().err
