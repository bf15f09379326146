"""A command without its optional package says what to install."""

from __future__ import annotations

import subprocess
import sys

import pytest

_WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from unbraid.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (["train", "tiny", "--data", "DATA", "--run", "RUN"], "train"),
        (["export", "mini", "-o", "mini.onnx"], "onnx"),
    ],
)
def test_without_torch_a_command_names_the_extra_to_install(
    arguments: list[str], extra: str
) -> None:
    run = subprocess.run(
        [sys.executable, "-c", _WITHOUT_TORCH, *arguments], capture_output=True, text=True
    )
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert f"[{extra}]" in run.stderr
