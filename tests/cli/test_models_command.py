"""The command `models`."""

from __future__ import annotations

import json

import pytest

from unbraid.cli.main import main
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


def test_models_are_listed_as_json(capsys):
    assert main(["models", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stems"] == ["drums", "vocals"]


def test_a_card_is_shown(capsys):
    assert main(["models", "show", "small"]) == 0
    assert capsys.readouterr().out.startswith("# small")


@pytest.mark.parametrize("arguments", [["show"], ["show", "large"], ["list", "small"]])
def test_a_wrong_request_is_told(arguments, capsys):
    assert main(["models", *arguments]) == 2
    assert capsys.readouterr().err.startswith("unbraid: ")
