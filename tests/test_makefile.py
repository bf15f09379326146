"""`make demo` says what it does, for machines with a C++ compiler and without one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What the Makefile looks at, and a folder of commands that has no compiler."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "hatch_build.py"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "src/unbraid/engines/native/kernels").mkdir(parents=True)
    (tmp_path / "commands").mkdir()
    for name in ("make", "sh"):
        (tmp_path / "commands" / name).symlink_to(str(shutil.which(name)))
    return tmp_path


def _planned(tree: Path) -> str:
    """What `make demo` would run."""
    environment = {
        key: value for key, value in os.environ.items() if key not in ("CXX", "MAKEFLAGS")
    }
    return subprocess.run(
        ["make", "--dry-run", "demo"],
        cwd=tree,
        env={**environment, "PATH": str(tree / "commands")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def _installed(tree: Path) -> None:
    (tree / ".venv").mkdir()
    (tree / ".venv/.installed").touch()


def test_without_a_compiler_the_demo_says_so_and_installs_nothing_else_for_it(tree):
    planned = _planned(tree)
    assert "no C++ compiler" in planned and "build.py" not in planned
    assert "torch" not in planned  # gigabytes that the default model does not need


def test_a_compiler_that_comes_later_builds_the_kernels(tree):
    _installed(tree)
    assert "pip install" not in _planned(tree)
    (tree / "commands/g++").symlink_to(str(shutil.which("true")))
    assert "build.py" in _planned(tree) and "pip install" in _planned(tree)
    (tree / "src/unbraid/engines/native/kernels-v3.so").touch()
    assert "pip install" not in _planned(tree)
