"""How long until something happens: `import unbraid`, `unbraid --help`. Medians of warm runs."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import unbraid": ["-c", "import unbraid"],
    "unbraid --help": ["-m", "unbraid", "--help"],
}


def measure(runs: int = 9) -> dict[str, float]:
    """Command -> seconds."""
    return {name: round(_median(args, runs), 3) for name, args in COMMANDS.items()}


def _median(args: list[str], runs: int) -> float:
    times = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        subprocess.run([sys.executable, *args], stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])  # the first one warms the disk
