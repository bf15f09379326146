"""`unbraid serve`: what it says before it serves."""

from __future__ import annotations

import errno
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from unbraid.cli.main import main
from unbraid.cli.serve import _say_where
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
        (
            ["--host", "no.such.host.invalid"],
            "no computer called 'no.such.host.invalid'; --host is",
        ),
        (["--host", "a..b"], "no computer called 'a..b'"),
        (["--host", "192.0.2.1"], "192.0.2.1 is not an address of this computer; --host is 127"),
        (["--public-url", "example.org/stems"], "--public-url is an address"),
        (["--public-url", "ftp://example.org/"], "--public-url is an address"),
        (["--public-url", "https://["], "--public-url is an address"),
        (["--public-url", "https://example.org/?x=1"], "--public-url is an address"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(capsys, tmp_path, arguments, words):
    assert words in said(capsys, "--data", str(tmp_path), "--port", "0", *arguments)


def test_a_port_that_is_taken_is_said(capsys, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        words = said(capsys, "--data", str(tmp_path), "--port", port)
    assert f"port {port} of 127.0.0.1 is in use by another program" in words
    assert "try another --port" in words
    assert "Errno" not in words


def test_a_port_is_taken_before_its_server_answers(tmp_path):
    from unbraid.errors import SettingsError
    from unbraid.web.ports import listening_socket

    with listening_socket("localhost", 0) as first, pytest.raises(SettingsError, match="in use"):
        listening_socket("localhost", first.getsockname()[1])


@pytest.mark.parametrize(("port", "words"), [(80, "such as 8080"), (8000, "permission denied")])
def test_a_port_that_the_system_refuses_is_said(port, words, capsys, monkeypatch):
    def refuse(self, address):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    told = said(capsys, "--port", str(port))
    assert f"port {port} of 127.0.0.1" in told
    assert words in told
    assert "Errno" not in told


def url_of(**settings) -> str:
    """The address that a server prints."""
    from unbraid.web.serve import ServerSettings, Site

    site = Site(ServerSettings(port=0, **settings))
    url = site.url
    site._socket.close()
    site.service.store.close()
    site.service.storage.close()
    return url


def test_the_address_of_a_proxy_is_printed_with_its_last_slash(tmp_path):
    proxied = "https://example.org/stems"
    assert url_of(data=tmp_path, public_url=proxied) == f"{proxied}/"


def test_the_address_for_other_computers_is_one_of_this_computer(tmp_path):
    own = url_of(host="0.0.0.0", data=tmp_path).removeprefix("http://").partition(":")[0]
    with socket.socket() as mine:
        mine.bind((own, 0))  # fails for an address of another computer


def test_on_a_terminal_the_address_is_also_a_qr_code(capsys, monkeypatch):
    pytest.importorskip("segno")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    _say_where("http://192.0.2.7:8000/", for_phones=True)
    assert capsys.readouterr().out.count("\n") > 10
    _say_where("http://127.0.0.1:8000/", for_phones=False)
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_processes_of_the_server_leave_ctrl_c_to_it():
    reader = subprocess.Popen(
        python("unbraid.web.reader"), stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 60
    while not _ignores_interrupts(reader.pid) and time.monotonic() < end:
        time.sleep(0.01)
    reader.send_signal(signal.SIGINT)
    told = reader.communicate("", timeout=60)[1]  # no request at all ends it
    assert "KeyboardInterrupt" not in told and "JSONDecodeError" in told


def _ignores_interrupts(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    ignored = int(status.partition("SigIgn:")[2].split()[0], 16)
    return bool(ignored >> (signal.SIGINT - 1) & 1)


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
