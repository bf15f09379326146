"""Commands, exit codes, and what loads when."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys

import pytest

import unbraid
from unbraid.cli.commands import COMMANDS, actions_of, make_parser
from unbraid.cli.main import main
from unbraid.cli.man_page import man_page

HELP = """
import contextlib, io, json, sys
from unbraid.cli.commands import COMMANDS
from unbraid.cli.main import main
loaded, texts = {}, {}
for command in ("", *COMMANDS):
    texts[command] = io.StringIO()
    with contextlib.redirect_stdout(texts[command]):
        main([command, "--help"] if command else ["--help"])
    loaded[command] = sorted({"torch", "numpy", "av", "rich", "jaxtyping"} & set(sys.modules))
print(json.dumps([loaded, {command: text.getvalue() for command, text in texts.items()}]))
"""
"""Shows the help of every command, one after another, in one process."""


def test_help_of_every_command_loads_nothing_heavy():
    run = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True)
    loaded, texts = json.loads(run.stdout.splitlines()[-1])
    assert loaded == {command: [] for command in ("", *COMMANDS)}
    assert all(command in texts[""] for command in COMMANDS)
    assert all(texts[command].startswith("usage: ") for command in COMMANDS)


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


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["modles", "list"], "unbraid models"),
        (["seperate", "song.mp3"], "unbraid separate"),
        (["hlep"], "unbraid help"),
        (["web"], "unbraid serve"),
        (["downlaod", "htdemucs"], "unbraid models pull"),
        (["song.mp3", "--format", "aiff"], "takes wav, flac, mp3"),
        (["song.mp3", "--two-stem", "vocals"], "--two-stems"),
        (["song.mp3", "--fromat=flac"], "--format"),
        (["https://example.org/song.mp3"], "web address"),
    ],
)
def test_a_typing_error_is_answered_with_the_nearest_word(
    arguments, hint, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert hint in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_says_what_it_does(command):
    silent = [
        action.option_strings or action.dest
        for action in actions_of(make_parser(command))
        if not re.sub(r"\(.*\)", "", action.help or "").strip()  # "(auto)" says nothing
    ]
    assert silent == []


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_80_columns(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    parsers = [make_parser(command)]
    for parser in parsers:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                parsers += action.choices.values()
    texts = {parser.prog: parser.format_help() for parser in parsers}
    assert {
        line for text in texts.values() for line in text.splitlines() if len(line) > 80
    } == set()


def test_help_of_a_command_by_name(capsys):
    assert main(["help", "separate"]) == 0
    assert capsys.readouterr().out.startswith("usage: unbraid separate")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_man_page_has_every_option(command):
    page = man_page().replace("\\-", "-")
    for action in actions_of(make_parser(command)):
        assert all(option in page for option in action.option_strings)


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_every_command(shell, capsys):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(command in script for command in COMMANDS)
