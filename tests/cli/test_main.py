"""Commands, exit codes, and what loads when."""

from __future__ import annotations

import subprocess
import sys

import pytest

import unbraid
from unbraid.cli.main import COMMANDS, main


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from unbraid.cli.main import main; main(['--help']);"
        "print(sorted({'torch', 'numpy', 'av', 'rich', 'jaxtyping'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"
    assert all(command in run.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_loads_nothing_heavy(command):
    code = (
        f"import sys; from unbraid.cli.main import main; main(['{command}', '--help']);"
        "print(sorted({'torch', 'numpy', 'av', 'rich', 'jaxtyping'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"


def test_the_version_is_told(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"unbraid {unbraid.__version__}\n"


def test_nothing_at_all_is_a_wrong_request(capsys):
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "usage" in captured.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["song.mp3", "--no-such-option"],
        ["separate"],
        ["song.mp3", "--format", "aiff"],
        ["song.mp3", "--shard", "3/2"],
        ["song.mp3", "--threads", "0"],
        ["song.mp3", "--sample-rate", "cd"],
        ["song.mp3", "--mod", "mini"],
        ["models", "remove"],
    ],
)
def test_a_wrong_command_line_is_one_line_and_2(arguments, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("unbraid: ")
    assert error.count("\n") == 1


def test_python_m_unbraid_is_the_command():
    run = subprocess.run(
        [sys.executable, "-m", "unbraid", "--version"], capture_output=True, text=True, check=True
    )
    assert run.stdout.startswith("unbraid ")
