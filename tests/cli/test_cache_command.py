"""`unbraid cache` shows and clears."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unbraid.cli.main import main
from unbraid.costs.tuning import load_choice


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path))
    for kind, size in (("models", 1000), ("samples", 2000)):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "file").write_bytes(bytes(size))
    return tmp_path


def test_sizes_are_those_of_the_files(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "--json"]) == 0
    sizes = json.loads(capsys.readouterr().out)["bytes"]
    assert sizes == {"models": 1000, "unpacked": 0, "samples": 2000, "index": 0, "tuning": 0}


def test_one_kind_or_all_of_it_is_cleared(cache: Path) -> None:
    assert main(["cache", "clear", "samples"]) == 0
    assert not (cache / "samples").exists()
    assert (cache / "models" / "file").exists()
    assert main(["cache", "clear"]) == 0
    assert list(cache.iterdir()) == []
    assert main(["cache", "clear"]) == 0


def test_an_unknown_kind_names_the_nearest(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "clear", "sample"]) == 2
    assert "did you mean samples?" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", [["cache"], ["bench", "--seconds", "1"], ["models", "pull", "htdemucs"]]
)
def test_a_cache_that_cannot_be_looked_at_is_one_line(
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / ("long" * 100)))  # refused to root, too
    assert main(command) == 2
    error = capsys.readouterr().err
    assert error.splitlines()[-1].startswith("unbraid: ")
    assert "long" * 100 in error
    assert "Traceback" not in error


def test_models_are_listed_and_songs_separated_without_a_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / ("long" * 100)))
    assert main(["models", "list"]) == 0
    assert "htdemucs_6s" in capsys.readouterr().out
    assert load_choice(lambda: "any") is None
