"""A library through `unbraid batch`: in one process, in two, on Ray, killed and resumed.

    python -m benchmarks.batch [--songs 60] [--seconds 4] [--model mini] [--without-ray]

The library is cut from the demo song, as wav, flac, ogg and mp3, and has five broken files. Every
way has to give the bytes of `unbraid separate`, each song once, the broken ones failed; run again
it has to do nothing; and killed in the middle (SIGKILL to all its processes) and started again it
has to end the same way. A way that does not is an error. The figures go to benchmarks/batch.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import soundfile

from benchmarks import machine
from benchmarks.songs import DEMO
from unbraid.audio.files import read
from unbraid.batch.journal import Journal

RESULT = Path(__file__).parent / "batch.json"
UNBRAID = (sys.executable, "-m", "unbraid")
WAYS = {
    "one worker, one thread": ("--threads", "1"),
    "two workers, one thread each": ("--threads", "1", "--workers", "2"),
    "Ray, two workers, one thread each": ("--threads", "1", "--workers", "2", "--ray"),
}
BROKEN = 5
SINGLE = 12
"""Songs that are also separated by a process each: file by file."""


def main() -> None:
    """Check, measure and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--songs", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--without-ray", action="store_true")
    parser.add_argument("--note", default="", help="what else ran on the machine")
    options = parser.parse_args()
    ways = {name: how for name, how in WAYS.items() if not (options.without_ray and "Ray" in name)}
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        write_library(Path(folder) / "library", options.songs, options.seconds)
        found = measure(Path(folder), options.model, ways, options.songs)
    facts = {"songs": options.songs, "seconds": options.seconds, "model": options.model}
    facts |= {"single": SINGLE, "ways": found, "note": options.note}
    RESULT.write_text(json.dumps(facts | {"machine": machine.describe()}, indent=1) + "\n")


def write_library(folder: Path, songs: int, seconds: float) -> None:
    """Pieces of the demo song in two albums and four formats, and five files that are no songs."""
    song, rate = read(DEMO)
    length = round(seconds * rate)
    step = max(1, (song.shape[1] - length) // songs)
    for album in ("first album", "second album"):
        (folder / album).mkdir(parents=True)
    for number in range(songs):
        suffix = ("wav", "flac", "ogg", "mp3")[number % 4]
        piece = song[:, number * step : number * step + length]
        album = folder / ("first album", "second album")[number % 2]
        soundfile.write(album / f"{number:04}.{suffix}", piece.T, rate)
    whole = (folder / "first album" / "0000.wav").read_bytes()
    broken = {"empty.wav": b"", "text.flac": b"no song", "cut.wav": whole[:30]}
    broken |= {"zeros.mp3": bytes(100_000), "part.m4a": b"\0\0\0\x20ftypM4A " + bytes(500)}
    for name, content in broken.items():
        (folder / name).write_bytes(content)


def measure(folder: Path, model: str, ways: dict[str, Sequence[str]], songs: int) -> dict[str, Any]:
    """Wall and CPU seconds of every way; raises if one does not give the bytes of `separate`."""
    library, same = folder / "library", ("--model", model, "--quiet")
    alone = [*UNBRAID, "separate", str(library), *same, "--threads", "1"]
    result: dict[str, Any] = {"separate": _run([*alone, "-o", str(folder / "alone")])}
    expected = stems(folder / "alone")
    one = [*UNBRAID, "separate", *same, "--threads", "1", "-o", str(folder / "singly")]
    few = sorted(library.rglob("0*.*"))[:SINGLE]
    result["a process a song"] = _added([_run([*one, str(path)], 0) for path in few])
    print(result, flush=True)
    for name, how in ways.items():
        out = folder / name
        command = [*UNBRAID, "batch", str(library), "-o", str(out), *same, *how]
        command += ["--retries", "1", "--pause", "0.1", "--lease", "2"]
        taken = {"once": _run(command)}
        _check(out, expected, songs)
        before = Journal(out).path.read_bytes()
        taken["again"] = _run(command)
        if Journal(out).path.read_bytes() != before:
            raise RuntimeError(f"{name}: the second run did something")
        killed = folder / f"{name}, killed"
        command[command.index(str(out))] = str(killed)
        taken["killed at"] = _kill_in_the_middle(command, killed, songs)
        taken["resumed"] = _run(command)
        _check(killed, expected, songs)
        result[name] = taken
        print(name, taken, flush=True)
    return result


def _check(out: Path, expected: dict[str, bytes], songs: int) -> None:
    done = [entry.key for entry in Journal(out).lines() if entry.status != "failed"]
    failed = [entry.key for entry in Journal(out).entries() if entry.status == "failed"]
    if len(done) != songs or len(set(done)) != songs or len(failed) != BROKEN:
        raise RuntimeError(f"{out.name}: {len(done)} done ({len(set(done))} songs), {failed}")
    if stems(out) != expected:
        raise RuntimeError(f"{out.name}: not the stems of `unbraid separate`")
    left = [*out.rglob("*.part"), *out.rglob("*.claim"), *out.rglob("*.draft")]
    if left:
        raise RuntimeError(f"{out.name}: left behind: {left}")


def stems(out: Path) -> dict[str, bytes]:
    """The content of all stems below a folder."""
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.wav")}


def _run(command: Sequence[str], code: int = 1) -> dict[str, float]:
    """Run a command that has to end with this code: 1 where songs are broken."""
    begun, before = time.monotonic(), _cpu_s()
    run = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if run.returncode != code:
        raise RuntimeError(f"{command} ended with {run.returncode}: {run.stderr}")
    return {
        "wall_s": round(time.monotonic() - begun, 2),
        "cpu_s": round(_cpu_s() - before, 2),
    }


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _added(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    return {key: round(sum(run[key] for run in runs), 2) for key in runs[0]}


def _kill_in_the_middle(command: Sequence[str], out: Path, songs: int) -> int:
    """Kill a batch and all its processes when a third is done; returns how many songs are."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while sum(entry.status == "done" for entry in Journal(out).lines()) < songs // 3:
        if process.poll() is not None:
            raise RuntimeError("the batch ended before it could be killed")
        time.sleep(0.02)
    for pid in below(process.pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()
    return sum(entry.status == "done" for entry in Journal(out).lines())


def below(pid: int) -> list[int]:
    """A process and all that it has started, as the table of processes has them."""
    table = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    parents = {
        int(child): int(parent) for child, parent in map(str.split, table.stdout.splitlines())
    }
    found = [pid]
    for known in found:
        found += [child for child, parent in parents.items() if parent == known]
    return found


if __name__ == "__main__":
    main()
