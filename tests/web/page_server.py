"""A real `unbraid serve` for tests of pages: in a process of its own, so that it can be killed."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile

from unbraid.audio.formats import AudioFormat
from unbraid.audio.tags import Tags
from unbraid.audio.write import AudioWriter

DEMO = Path(__file__).parents[2] / "demo" / "Karissa Hobbs - Lets Go Fishin.ogg"
FINAL = ("succeeded", "failed", "canceled")


class PageServer:
    """A server on a free port of this machine.

    Args:
        data: where its songs are kept.
        environment: more variables for it.
    """

    def __init__(self, data: Path, **environment: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._data = data
        self._environment = os.environ | environment
        self.song: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [sys.executable, "-m", "unbraid", "serve", "--port", str(self.port)]
        command += ["--data", str(self._data), "--threads", "1"]
        with (self._data.parent / f"{self._data.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, env=self._environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        end = time.monotonic() + 180  # on a machine with much else to do
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                self.call("GET", "/healthz")
                return
            assert self._process.poll() is None, "the server ended at once"
            time.sleep(0.1)
        self.kill()
        raise AssertionError("the server does not answer")

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(20)

    def stop(self) -> None:
        """End it as Ctrl-C would."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    def fetch(self, path: str, method: str = "GET", **more: Any) -> bytes:
        request = urllib.request.Request(self.url + path, method=method, **more)
        with urllib.request.urlopen(request, timeout=60) as response:
            return bytes(response.read())

    def call(self, method: str, path: str) -> Any:
        content = self.fetch(path, method)
        return json.loads(content) if content else None

    def upload(self, song: Path, **fields: str) -> dict[str, Any]:
        """Queue a song; the job."""
        rim = uuid.uuid4().hex
        head = "".join(
            f'--{rim}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        head += f'--{rim}\r\nContent-Disposition: form-data; name="file"; filename="{song.name}"'
        body = head.encode() + b"\r\n\r\n" + song.read_bytes() + f"\r\n--{rim}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={rim}"}
        return dict(json.loads(self.fetch("/api/jobs", "POST", data=body, headers=headers)))

    def wait(self, id: str, seconds: float = 240.0) -> dict[str, Any]:
        """The job when it is over."""
        end = time.monotonic() + seconds
        while (job := self.call("GET", f"/api/jobs/{id}"))["status"] not in FINAL:
            assert time.monotonic() < end, f"not over within {seconds:g} s: {job}"
            time.sleep(0.2)
        return dict(job)

    def jobs(self, status: str = "") -> list[dict[str, Any]]:
        """All jobs in these states, newest first."""
        return list(self.call("GET", f"/api/jobs?status={status}&limit=100")["jobs"])

    def clear(self) -> None:
        """Delete all jobs."""
        for job in self.jobs():
            self.call("DELETE", f"/api/jobs/{job['id']}")


@contextlib.contextmanager
def serving_excerpt(folder: Path, seconds: float, **fields: str) -> Iterator[PageServer]:
    """A server that has separated an excerpt of the demo song, which is its `song`.

    Args:
        fields: settings of the separation.
    """
    server = PageServer(folder / "data")
    server.start()
    try:
        job = server.upload(excerpt(folder / "Take.wav", seconds), **fields)
        server.song = server.wait(job["id"])
        yield server
    finally:
        server.stop()


TAP = """
const { player } = unbraid.mixer;
window.tap = player.context.createAnalyser();
tap.fftSize = 32768;
player.master.connect(tap);
"""
"""Script of the mixer's page: `tap` holds the last 32768 samples of its output."""


def excerpt(path: Path, seconds: float, start_s: float = 30.0) -> Path:
    """Some seconds of the demo song, as a WAV file."""
    rate = soundfile.info(DEMO).samplerate
    start = round(start_s * rate)
    signal, _ = soundfile.read(DEMO, start=start, stop=start + round(seconds * rate), dtype="int16")
    soundfile.write(path, signal, rate, subtype="PCM_16")
    return path


def tagged_excerpt(path: Path, seconds: float) -> Path:
    """The same as FLAC, with tags and a red cover."""
    signal, rate = soundfile.read(DEMO, stop=round(seconds * 44100), dtype="int16")
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 64, 64, "rgb24", 1
    frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), (200, 60, 40), np.uint8), "rgb24")
    frame.pts = 0
    cover = b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
    text = {"title": "Fishing <1>", "artist": "Karissa", "album": "Rivers"}
    tags = Tags(text, cover, "image/png")
    with AudioWriter(path, AudioFormat("flac", "16"), rate, 2, tags=tags) as writer:
        writer.write(signal.T.astype(np.int32))
    return path
