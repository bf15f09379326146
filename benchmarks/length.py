"""Does memory grow with the song? And how long does a song take?

`unbraid separate` on the demo song repeated to 1, 10 and 60 minutes, each in a process of its own;
the peak is the kernel's own figure for that process (VmHWM), not one that unbraid reports.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.songs import write_song

MINUTES = (1, 10, 60)


def measure(minutes: tuple[float, ...] = MINUTES, model: str = "mini") -> list[dict[str, Any]]:
    """One row per length: minutes, wall seconds, real-time factor, peak MB, null test."""
    rows = []
    for length in minutes:
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
            song = Path(folder) / "song.wav"
            write_song(song, 60 * length)
            rows.append({"minutes": length, **_run(song, Path(folder) / "out", model)})
            print(rows[-1], flush=True)
    return rows


def _run(song: Path, out: Path, model: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "unbraid", "separate", str(song), "-o", str(out)]
    started = time.monotonic()
    process = subprocess.Popen(
        [*command, "--model", model, "--json", "--quiet"], stdout=subprocess.PIPE, text=True
    )
    peak = _PeakWatch(process.pid)
    stdout, _ = process.communicate()
    wall = time.monotonic() - started
    track = json.loads(stdout)
    if track["status"] != "done":
        raise RuntimeError(f"the song was not separated: {track}")
    return {
        "wall_s": round(wall, 1),
        "real_time_factor": round(wall / track["seconds_audio"], 3),
        "peak_mb": round(peak.stop() / 1e6, 1),
        "null_test_db": round(track["null_test_db"], 1),
    }


class _PeakWatch:
    """Reads the greatest resident size of a process until it ends."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._peak = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while True:
            try:
                lines = self._status.read_text().splitlines()
                field = next(line for line in lines if line.startswith("VmHWM"))
            except (OSError, StopIteration):
                return  # ended
            self._peak = max(self._peak, int(field.split()[1]) * 1024)
            time.sleep(0.05)

    def stop(self) -> int:
        """The peak in bytes."""
        self._thread.join()
        return self._peak
