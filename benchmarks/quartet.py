"""The default model, file to files, by our own kernels and by torch: seconds, CPU seconds, memory.

`python -m benchmarks.quartet [seconds of song] [runs]`. Each run is a process of its own, and the
two take turns, so that their ratio holds on a busy machine; the seconds themselves do not.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import describe
from benchmarks.songs import write_song

ENGINES = {"kernels": {}, "torch": {"UNBRAID_RUNTIME": "torch"}}
"""Name in the table -> variables that choose the engine."""


def measure(seconds: float = 60.0, runs: int = 3) -> dict[str, dict[str, float]]:
    """Engine -> medians: wall seconds, CPU seconds, peak MB, times real time."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ENGINES}
    with tempfile.TemporaryDirectory() as folder:
        song = Path(folder) / "song.wav"
        write_song(song, seconds)
        for _ in range(runs):
            for name, chosen in ENGINES.items():
                found[name].append(_run(song, Path(folder) / name, chosen))
    medians = {
        name: {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        for name, rows in found.items()
    }
    for row in medians.values():
        row["times_real_time"] = round(seconds / row["wall_s"], 1)
    return medians


def _run(song: Path, out: Path, chosen: dict[str, str]) -> dict[str, float]:
    command = [sys.executable, "-m", "unbraid", "separate", str(song), "-o", str(out), "--quiet"]
    started = time.monotonic()
    process = subprocess.Popen(command, env={**os.environ, **chosen})
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return {
        "wall_s": round(time.monotonic() - started, 1),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": round(used.ru_maxrss * 1024 / 1e6),
    }


def main() -> None:
    """Print what was measured, as JSON."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    result: dict[str, Any] = {"machine": describe(), "seconds": seconds, "runs": runs}
    result["engines"] = measure(seconds, runs)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
