"""Many songs in one run: one after the other, and with reading and writing beside the model.

    python -m benchmarks.library [--songs 8] [--seconds 60] [--runs 3]

Songs of the demo song, 16-bit wav to four wav files each, through `Separator.attempt` song by song
and through `Separator.attempt_all`, runs alternating, each in a process of its own. Two models:
`mini`, which wants both cores itself, and one that computes elsewhere, as on a GPU: it hands its
input back, split into four, after a 400th of the audio's length, and takes no core meanwhile. The
result goes to benchmarks/library.json.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.songs import write_song
from unbraid.engines.arrays import ArrayModel
from unbraid.models.base import ModelSpec

RESULT = Path(__file__).parent / "library.json"
WAYS = ("one by one", "in a line")
SPEED = 400


class Elsewhere(ArrayModel):
    """A model that computes on another device, at `SPEED` times real time."""

    spec = ModelSpec(("drums", "bass", "other", "vocals"), 44100, 2, 44100 * 40)

    def separate(self, mixture: np.ndarray) -> np.ndarray:
        time.sleep(mixture.shape[-1] / self.spec.sample_rate / SPEED)
        return np.repeat(mixture[:, None] / 4, 4, axis=1)


def main() -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--songs", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--one-run", nargs=3, metavar=("MODEL", "WAY", "FOLDER"))
    options = parser.parse_args()
    if options.one_run:
        run_once(*options.one_run)
        return
    found = measure(options.songs, options.seconds, options.runs)
    RESULT.write_text(json.dumps(found, indent=1) + "\n")


def measure(songs: int, seconds: float, runs: int) -> dict[str, Any]:
    """Medians by model and way: wall and CPU seconds, peak memory."""
    result: dict[str, Any] = {"songs": songs, "seconds": seconds, "runs": runs}
    result |= {"machine": machine.describe(), "models": {}}
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        for number in range(songs):
            write_song(Path(folder) / f"{number}.wav", seconds)
        for model in ("mini", "elsewhere"):
            taken: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
            for _ in range(runs):
                for way in WAYS:
                    taken[way].append(_run(model, way, folder))
                    print(model, way, taken[way][-1], flush=True)
            result["models"][model] = {
                way: {key: statistics.median(run[key] for run in those) for key in those[0]}
                for way, those in taken.items()
            }
    return result


def _run(model: str, way: str, folder: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.library", "--one-run", model, way, folder]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    taken: dict[str, float] = json.loads(answer.stdout)
    return taken


def run_once(model: str, way: str, folder: str) -> None:
    """Separate all songs of the folder, and print what that took."""
    from unbraid.api import OutputSettings, Separator
    from unbraid.tracks.names import InputTrack

    begun = time.monotonic()
    separator = Separator(Elsewhere() if model == "elsewhere" else model)
    output = OutputSettings(overwrite=True)
    tracks = [InputTrack(path) for path in sorted(Path(folder).glob("*.wav"))]
    plans = separator.plan(tracks, Path(folder) / "out", output)
    if way == "in a line":
        results = list(separator.attempt_all(plans, output))
    else:
        results = [separator.attempt(plan, output) for plan in plans]
    if any(result.status != "done" for result in results):
        raise RuntimeError(f"a song was not separated: {results}")
    usage = resource.getrusage(resource.RUSAGE_SELF)
    taken = {
        "wall_s": round(time.monotonic() - begun, 2),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mb": round(usage.ru_maxrss * 1024 / 1e6, 1),
    }
    print(json.dumps(taken))


if __name__ == "__main__":
    main()
