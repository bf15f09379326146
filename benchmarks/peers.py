"""Beside PyPI demucs 4.1.0: the same weights and song, from file to files, runs alternating.

    python -m venv ENV
    ENV/bin/pip install torch==2.13.0 demucs==4.1.0
    python -m benchmarks.peers --demucs ENV/bin/python [--seconds 60] [--runs 3] [--defaults]
                               [--songs 1] [--device cpu] [--precision auto]

The model is Hybrid Demucs at its public default size (48 channels, 83.6 M parameters) with random
weights, the song the demo song repeated. unbraid reads the model as `unbraid models import` wrote
it. `--defaults` leaves both programs their default settings, under which demucs shifts the song at
random, so that stems cannot be compared. Several `--songs` go into one run of each; `--device cuda`
is for both, `--precision` for unbraid. Each run is a process of its own with two threads; wall
and CPU time and peak memory are the kernel's figures for it. The stems of both are compared. The
result is added to benchmarks/peers.json under the length of the song; `python -m benchmarks.write
--write-only` writes it out.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks import machine
from benchmarks.songs import write_song

HERE = Path(__file__).parent
RESULT = HERE / "peers.json"
NAME = "0123abcd"  # public names are eight hexadecimal digits
THREADS = 2

MAKE_MODEL = """
import sys, torch
from demucs.hdemucs import HDemucs
torch.manual_seed(0)
stems = ["drums", "bass", "other", "vocals"]
model = HDemucs(stems)
for name, parameter in model.named_parameters():
    if name.endswith(".scale"):  # branches that weigh something, as trained ones do
        torch.nn.init.uniform_(parameter, 0.05, 0.3)
state = {key: value.half() for key, value in model.state_dict().items()}
package = {"klass": HDemucs, "args": (stems,), "kwargs": {}, "state": state, "training_args": {}}
torch.save(package, sys.argv[1])
"""


def main() -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demucs", metavar="PYTHON", required=True, help="where demucs is")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--defaults", action="store_true", help="no settings for either")
    parser.add_argument("--songs", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), options)
    known = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    known[_key(options)] = result
    RESULT.write_text(json.dumps(known, indent=1) + "\n")
    print(json.dumps(result))


def _key(options: argparse.Namespace) -> str:
    """What was measured, such as "60", "300, defaults" or "60, 8 songs, cuda, bf16"."""
    parts = [f"{options.seconds:g}"]
    parts += [f"{options.songs} songs"] if options.songs > 1 else []
    parts += ["defaults"] if options.defaults else []
    parts += [options.device] if options.device != "cpu" else []
    parts += [options.precision] if options.precision != "auto" else []
    return ", ".join(parts)


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Both programs, one after the other, so many times."""
    python, model = options.demucs, folder / "models" / f"{NAME}.th"
    songs = [folder / f"song-{number}.wav" for number in range(options.songs)]
    write_song(folder / "long.wav", options.seconds)
    sound, rate = soundfile.read(folder / "long.wav")
    for song in songs:
        soundfile.write(song, sound, rate, subtype="PCM_16")
    model.parent.mkdir()
    subprocess.run([python, "-c", MAKE_MODEL, str(model)], check=True)
    own = folder / "own.safetensors"
    unbraid = [sys.executable, "-m", "unbraid"]
    subprocess.run([*unbraid, "models", "import", str(model), "-o", str(own)], check=True)
    # A random shift, the other's default, would make the outputs incomparable.
    same = ["--float32", "--clip-mode", "none", "--shifts", "0"]
    common = [*([] if options.defaults else same), *map(str, songs)]
    repo = [python, "-m", "demucs", "-n", NAME, "--repo", str(model.parent)]
    how = ["--device", options.device, "--precision", options.precision]
    commands = {
        "demucs": [*repo, "-d", options.device, "-o"],
        "unbraid": [*unbraid, "separate", "--model", str(own), *how, "-o"],
    }
    found: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for number in range(options.runs):
        for name, command in commands.items():
            out = folder / f"{name}-{number}"
            found[name].append(run_timed([*command, str(out), *common]))
            print(name, found[name][-1], flush=True)
    return {
        **summary(found, "demucs", options.seconds),
        "deviation_db": None if options.defaults else round(_deviation(folder), 1),
        "all_runs": found,
    }


def summary(found: dict[str, list[dict[str, float]]], peer: str, seconds: float) -> dict[str, Any]:
    """What a table needs of the runs of a peer and of unbraid: medians, and their ratios."""
    medians = {
        name: {key: round(statistics.median(run[key] for run in rows), 1) for key in rows[0]}
        for name, rows in found.items()
    }
    return {
        "machine": machine.describe(),
        "seconds": seconds,
        "runs": len(found[peer]),
        **medians,
        "ratio": round(medians[peer]["wall_s"] / medians["unbraid"]["wall_s"], 2),
        "cpu_ratio": round(medians[peer]["cpu_s"] / medians["unbraid"]["cpu_s"], 2),
    }


def run_timed(command: list[str]) -> dict[str, float]:
    """Run a command on two threads: wall and CPU seconds, peak memory."""
    threads = {"OMP_NUM_THREADS": str(THREADS), "MKL_NUM_THREADS": str(THREADS)}
    begun = time.monotonic()
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **threads},
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - begun
    if status:
        raise RuntimeError(f"{command[:5]} ended with {os.waitstatus_to_exitcode(status)}")
    return {
        "wall_s": round(wall, 1),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mb": round(usage.ru_maxrss * 1024 / 1e6),
    }


def _deviation(folder: Path) -> float:
    """Of the stems of both, in dB of their energy.

    A constant does not count: demucs adds the mean of the song to each stem, unbraid shares it out.
    """
    stems = {}
    for name in ("demucs", "unbraid"):
        files = (folder / f"{name}-0").rglob("*.wav")
        files = sorted(files, key=lambda path: (path.parent.name, path.name))
        stems[name] = np.stack([soundfile.read(path)[0] for path in files])
    difference = stems["demucs"] - stems["unbraid"]
    difference -= difference.mean(axis=1, keepdims=True)
    return float(10 * np.log10(np.square(difference).sum() / np.square(stems["demucs"]).sum()))


if __name__ == "__main__":
    main()
