"""Schemathesis makes up requests by the OpenAPI description and finds no answer of 5xx.

It needs the command `schemathesis` (pip install schemathesis; it is in no extra, as it brings much
along), or SCHEMATHESIS to name it.
"""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from real_server import serving
from web_songs import RATE, as_file, noise

_COMMAND = os.environ.get("SCHEMATHESIS") or shutil.which("schemathesis")
_CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,negative_data_rejection"
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(_COMMAND is None, reason="schemathesis is not installed"),
]


def fuzz(url: str, folder, *options: str) -> str:
    """Run it for half a minute; what it says."""
    command = [_COMMAND, "--config-file", str(folder / "fuzz.toml"), "run", f"{url}/openapi.json"]
    command += ["--max-time", "30", "--exclude-path", "/api/events", "--request-timeout", "30"]
    done = subprocess.run(
        [*command, "-c", _CHECKS, *options], capture_output=True, text=True, cwd=folder, timeout=280
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    return done.stdout


def test_no_made_up_request_finds_a_server_error(tmp_path):
    as_file(tmp_path / "song.wav", noise(RATE))
    with serving(tmp_path / "data", "--max-queue", "10", "--min-free", "1MB") as server:
        id = server.end_of(server.send(tmp_path / "song.wav")["id"])["id"]
        # Most calls need a song and a part that are there, which no machine makes up.
        settings = f'[parameters]\n"path.id" = "{id}"\n"path.part" = "drums"\n'
        (tmp_path / "fuzz.toml").write_text(settings)
        assert "passed" in fuzz(server.url, tmp_path, "--exclude-method", "DELETE")
        (tmp_path / "fuzz.toml").write_text("")
        assert "passed" in fuzz(server.url, tmp_path)
        assert server.client.get("/healthz").status_code == 200
