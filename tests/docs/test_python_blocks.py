"""The Python blocks of README and documentation run as they stand."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unbraid.cli.main import main

ROOT = Path(__file__).parents[2]
SLOW = {"docs/evaluation.md", "docs/export.md"}
"""Pages whose blocks take long: BSSEval's filters, an exported model."""


def _blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), flags=re.M | re.S)


def _pages() -> list[object]:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    names = [str(page.relative_to(ROOT)) for page in pages if _blocks(page)]
    return [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in names]


def _song(path: Path, seconds: float, seed: int) -> np.ndarray:
    """Noise that swells, so that no stem and no frame is silent."""
    samples = int(44100 * seconds)
    noise = np.random.default_rng(seed).standard_normal((samples, 2))
    signal = 0.05 * noise * np.linspace(0.5, 1, samples)[:, None]
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, signal, 44100)
    return signal


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the blocks name."""
    root = tmp_path_factory.mktemp("named")
    _song(root / "song.mp3", 1, 0)
    for number, stem in enumerate(("drums", "bass", "other", "vocals")):
        _song(root / f"songs/train/one/{stem}.wav", 5, number)
        _song(root / f"references/one/{stem}.wav", 2, number)
        _song(root / f"estimates/one/{stem}.wav", 2, number + 10)
    return root


@pytest.fixture
def world(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files, for one page alone."""
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / "cache"))
    return tmp_path


_SETUP = """
import numpy as np
signal, sample_rate = np.random.default_rng(0).normal(0, 0.1, (2, 44100)).astype("float32"), 44100
references, estimates = np.random.default_rng(1).normal(0, 0.1, (2, 4, 88200, 2))
"""


@pytest.mark.parametrize("name", _pages())
def test_the_python_blocks_of_a_page_run(name: str, world: Path) -> None:
    if name == "docs/export.md":
        assert main(["export", "mini", "-o", "mini.onnx"]) == 0
    script = "\n".join([_SETUP, *_blocks(ROOT / name)])
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=world, capture_output=True, text=True, timeout=240
    )
    assert run.returncode == 0, run.stderr
