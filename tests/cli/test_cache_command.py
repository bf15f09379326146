"""`unbraid cache` shows and clears."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unbraid.cli.main import main


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
