"""`unbraid serve` as a process of its own, to be used, hurt and killed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2


class RealServer:
    """A running server and a client of it.

    Args:
        data: its folder.
        options: of the command.
    """

    def __init__(self, data: Path, *options: str) -> None:
        self.data = data
        command = [sys.executable, "-m", "unbraid", "serve", "--port", "0", "--data", str(data)]
        self._log = (data.parent / f"{data.name}.log").open("a")
        self.process = subprocess.Popen(
            [*command, "--threads", "1", *options],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, f"it did not start: {line!r}"
        self.url = found[0].rstrip("/")
        self.client = httpx2.Client(base_url=self.url, timeout=60)

    def kill(self) -> None:
        """As the kernel would: no chance to clean up."""
        self.process.kill()
        self.close()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.client.close()
        self._log.close()

    def send(self, path: Path, **fields: str) -> dict[str, Any]:
        with path.open("rb") as file:
            answer = self.client.post("/api/jobs", files={"file": (path.name, file)}, data=fields)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def job(self, id: str) -> dict[str, Any]:
        return self.client.get(f"/api/jobs/{id}").json()

    def wait(
        self, id: str, until: Callable[[dict[str, Any]], bool], seconds: float = 240
    ) -> dict[str, Any]:
        """The job as soon as something is true of it."""
        end = time.monotonic() + seconds
        while not until(job := self.job(id)):
            assert time.monotonic() < end, f"not within {seconds:g} s: {job}"
            time.sleep(0.05)
        return job

    def end_of(self, id: str) -> dict[str, Any]:
        return self.wait(id, lambda job: job["finished"] is not None)

    def running(self, id: str) -> dict[str, Any]:
        return self.wait(id, lambda job: job["stage"] == "separating" and job["progress"] > 0.06)

    def worker_pids(self) -> list[int]:
        """Of the processes that separate."""
        found = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True
        )
        return [int(pid) for pid in found.stdout.split()]

    def events(self, id: str) -> list[dict[str, Any]]:
        """All events of a job, to its end."""
        with self.client.stream("GET", f"/api/jobs/{id}/events", timeout=120) as answer:
            lines = [line for line in answer.iter_lines() if line.startswith("data: ")]
        return [json.loads(line.removeprefix("data: ")) for line in lines]


@contextlib.contextmanager
def serving(data: Path, *options: str) -> Iterator[RealServer]:
    """A server that is ended afterwards."""
    server = RealServer(data, *options)
    try:
        yield server
    finally:
        server.close()
