"""Standard streams that are closed, full, or read by nobody: the songs are separated all the same.

Every run is a process of its own, started by a shell, with the smallest bundled model.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from small_songs import noise, write_song

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or not Path("/dev/full").exists(), reason="needs a shell and /dev/full"
)


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """Runs lines of a shell, beside two songs of the names a and b."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.wav", "b.wav"):
        write_song(tmp_path / name, noise(0.1))

    def run(line: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = f"{sys.executable} -m unbraid"
        return subprocess.run(
            ["bash", "-c", line.replace("unbraid", command)],
            capture_output=True,
            text=True,
            timeout=250,
            env={**os.environ, **variables},
        )

    return run


def stems() -> int:
    return len([*Path("separated").rglob("*.wav")])


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-", "--json 2>&-", "2>/dev/full"])
def test_without_somewhere_to_print_all_songs_are_separated(shell, closed):
    run = shell(f"unbraid -m mini a.wav b.wav {closed}")
    assert (run.returncode, stems()) == (0, 8)
    assert "Traceback" not in run.stderr
    if closed == "--json 2>&-":
        assert [json.loads(line)["status"] for line in run.stdout.splitlines()] == ["done"] * 2


@pytest.mark.parametrize(
    ("end", "unbuffered"), [("2>&1 | true", ""), ("--json | true", ""), ("--json | true", "1")]
)
def test_a_reader_that_goes_away_stops_nothing(shell, end, unbuffered):
    run = shell(
        f"unbraid -m mini a.wav b.wav {end}; exit ${{PIPESTATUS[0]}}", PYTHONUNBUFFERED=unbuffered
    )
    assert (run.returncode, stems()) == (0, 8)
    assert "Traceback" not in run.stderr and "Exception ignored" not in run.stderr


def test_results_that_are_lost_on_a_full_disk_are_a_failure(shell):
    run = shell("unbraid -m mini a.wav b.wav --json --quiet > /dev/full")
    assert (run.returncode, stems()) == (1, 8)
    assert run.stderr == "unbraid: standard output cannot be written: no space left on device\n"


def test_other_commands_end_without_a_traceback_too(shell):
    full = shell("unbraid models list > /dev/full")
    assert full.returncode == 1 and full.stderr.count("\n") == 1
    for closed in (">&- 2>&-", "| true"):
        run = shell(f"unbraid --help {closed}; exit ${{PIPESTATUS[0]}}")
        assert (run.returncode, run.stderr) == (0, "")


def test_an_error_that_nobody_can_read_still_is_the_exit_code(shell):
    assert shell("unbraid -m mini none.wav a.wav 2>&-").returncode == 1
    assert shell("unbraid -m mini a.wav --overlap 7 2>/dev/full").returncode == 2


def test_a_name_that_the_terminal_cannot_show_stops_nothing(shell):
    Path("a.wav").rename("音 ☃.wav")
    run = shell("unbraid -m mini *.wav", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert (run.returncode, stems()) == (0, 8)
    assert "\\u97f3" in run.stderr


def test_no_file_of_a_song_gets_the_number_of_a_closed_stream(shell):
    """Libraries print to descriptor 2 whatever it is."""
    shell("unbraid -m mini a.wav --residual --format wav <&- >&- 2>&-")
    import soundfile

    for path in Path("separated").rglob("*.wav"):
        assert soundfile.info(path).frames == 4410
