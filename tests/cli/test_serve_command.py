"""`unbraid serve`: what it says before it serves."""

from __future__ import annotations

import socket
import subprocess

import pytest

pytest.importorskip("fastapi")

from unbraid.cli.main import main
from unbraid.web.processes import environment, python


def said(capsys, *arguments: str) -> str:
    assert main(["serve", *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--max-upload", "much"], "a size of memory"),
        (["--max-queue", "0"], "queue is more than 0"),
        (["--max-minutes", "-1"], "seconds is more than 0"),
        (["--keep-days", "0"], "kept for more than 0 days"),
        (["--key-file", "/nowhere"], "the key cannot be read"),
        (["--model", "nonesuch"], "nonesuch"),
        (["--port", "99999"], "try another --port"),
        (["--host", "no.such.host.invalid"], "try another --port"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(capsys, tmp_path, arguments, words):
    assert words in said(capsys, "--data", str(tmp_path), "--port", "0", *arguments)


def test_a_port_that_is_taken_is_said(capsys, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert "in use" in said(capsys, "--data", str(tmp_path), "--port", port)


def test_an_empty_key_is_no_key(capsys, tmp_path):
    (tmp_path / "key").write_text("\nsecond line\n")
    assert "is empty" in said(capsys, "--key-file", str(tmp_path / "key"))


def test_processes_run_no_file_from_the_folder_they_are_started_in(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit('a stranger ran')")
    monkeypatch.setenv("UNBRAID_KEY", "secret")
    assert "UNBRAID_KEY" not in environment()
    done = subprocess.run(
        python("unbraid.web.reader"), cwd=tmp_path, input="", capture_output=True, text=True
    )
    assert "a stranger ran" not in done.stderr and "JSONDecodeError" in done.stderr
