"""How long until something happens, from the start of the process. Medians of warm runs.

Help, and the first segment of a ten-second song through `mini`; beside them what torch alone takes.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import compile_package
from benchmarks.songs import write_song

FIRST_SEGMENT = """
import os, sys, unbraid

def show(progress):
    if progress.stage == "separate" and progress.fraction > 0.05:  # a segment is done
        os._exit(0)

separator = unbraid.Separator("mini", on_progress=show)
separator.separate_file(sys.argv[1], sys.argv[2])
sys.exit("no progress was told")
"""

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import unbraid": ["-c", "import unbraid"],
    "unbraid --help": ["-m", "unbraid", "--help"],
}


def measure(runs: int = 9) -> dict[str, float]:
    """Command -> seconds."""
    compile_package()
    with tempfile.TemporaryDirectory() as folder:
        song = Path(folder) / "song.wav"
        write_song(song, 10)
        commands = {
            **COMMANDS,
            "import torch": ["-c", "import torch"],
            "import unbraid.api": ["-c", "import unbraid.api"],
            "first segment of a 10 s song through mini": ["-c", FIRST_SEGMENT, str(song), folder],
        }
        return {name: round(_median(args, runs), 3) for name, args in commands.items()}


def _median(args: list[str], runs: int) -> float:
    times = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        subprocess.run([sys.executable, *args], stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])  # the first one warms the disk


if __name__ == "__main__":
    for command, seconds in measure().items():
        print(f"{seconds:8.3f} s  {command}", flush=True)
