"""Feeds mutated files to a target for a while, and keeps those that it could not take."""

from __future__ import annotations

import hashlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import numpy as np

from fuzz.mutate import mutated

SECONDS = float(os.environ.get("UNBRAID_FUZZ_SECONDS", "60"))
SEED = int(os.environ.get("UNBRAID_FUZZ_SEED", "0"))
KEPT = Path(os.environ.get("UNBRAID_FUZZ_KEPT", ".fuzz"))
CORPUS = os.environ.get("UNBRAID_FUZZ_CORPUS")
_ANSWER_S = 60.0
_LARGEST = 300_000


def corpus(suffixes: tuple[str, ...] = ()) -> dict[str, bytes]:
    """Small files of the folder UNBRAID_FUZZ_CORPUS, by name; none if it is not set."""
    if CORPUS is None:
        return {}
    found = sorted(path for path in Path(CORPUS).rglob("*") if path.is_file())
    return {
        path.name: path.read_bytes()
        for path in found
        if path.stat().st_size <= _LARGEST and (not suffixes or path.suffix in suffixes)
    }


def hunt(target: str, seeds: Mapping[str, bytes], folder: Path) -> list[str]:
    """What a target could not take, one line each; the files are kept in `KEPT`/TARGET.

    Those that were kept before come first, then the seeds as they are, then mutants for `SECONDS`.
    """
    kept = KEPT / target
    old = {path.name: path.read_bytes() for path in sorted(kept.glob("*")) if path.is_file()}
    findings: list[str] = []
    tried = 0
    with _Child(target) as child:
        for name, content in chain(old.items(), seeds.items(), _mutants(seeds)):
            path = folder / f"input{Path(name).suffix}"
            path.write_bytes(content)
            tried += 1
            said = child.ask(path)
            if said != "fine":
                findings.append(f"{_keep(kept, name, content)}: {said[:300]}")
    print(f"{target}: {tried} files, {len(findings)} findings")
    return findings


def _mutants(seeds: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    rng = np.random.default_rng(SEED)
    names, others = sorted(seeds), list(seeds.values())
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        name = names[int(rng.integers(len(names)))]
        yield name, mutated(seeds[name], others, rng)


def _keep(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{hashlib.sha256(content).hexdigest()[:12]}{Path(name).suffix}"
    path.write_bytes(content)
    return path


class _Child:
    """The target's process, started again whenever it dies."""

    def __init__(self, target: str) -> None:
        self._command = [sys.executable, str(Path(__file__).with_name("target.py")), target]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *raised: object) -> None:
        self._end()

    def ask(self, path: Path) -> str:
        if self._process is None:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(f"{path}\n".encode())
        process.stdin.flush()
        begun, ready = _cpu_s(process.pid), False
        while not ready and _cpu_s(process.pid) - begun < _ANSWER_S:
            ready = bool(select.select([process.stdout], [], [], 5.0)[0])
        answer = process.stdout.readline().decode(errors="replace").strip() if ready else ""
        if answer:
            return answer
        code = self._end()
        return f"died with {code}" if ready else f"no answer in {_ANSWER_S:g} s of processor time"

    def _end(self) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        with _closed(process):
            process.kill() if process.poll() is None else None
            return process.wait()


def _cpu_s(pid: int) -> float:
    """Processor time of a process, in seconds: a busy machine makes no finding.

    The clock stands in for it where there is no /proc.
    """
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return time.monotonic()
    fields = stat.read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _closed(process: subprocess.Popen[bytes]) -> Iterator[None]:
    yield
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
