"""Models of today beside the packages people run them with: the same weights, file to files.

    python -m venv ENV
    ENV/bin/pip install torch==2.13.0 demucs==4.1.0 pymss==2.1.12
    python -m benchmarks.modern --peers ENV/bin/python [--kinds htdemucs scnet] [--seconds 24]
                                [--runs 3] [--size public]

Random weights in the packages' own files (`modern_peer.py` makes them); runs alternate, each a
process of its own with two threads. HT Demucs is compared with demucs, all others with pymss, whose
windows and overlap unbraid then has, too (`--windows flat`), so that both do the same work and give
the same stems. The result is added to benchmarks/modern.json, beside those of other lengths;
`python -m benchmarks.write --write-only` writes it out. `--size small` is a quick check that stems
agree.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks.machine import compile_package
from benchmarks.modern_peer import OVERLAPS
from benchmarks.peers import run_timed, summary
from benchmarks.songs import write_song

HERE = Path(__file__).parent
RESULT = HERE / "modern.json"
PEER = HERE / "modern_peer.py"
KINDS = ("htdemucs", "htdemucs_ft", "htdemucs_6s", *OVERLAPS)


def main() -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", metavar="PYTHON", required=True, help="where the packages are")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seconds", type=float, default=24.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--size", choices=("public", "small"), default="public")
    options = parser.parse_args()
    for kind in options.kinds:
        with tempfile.TemporaryDirectory() as folder:
            result = measure(kind, Path(folder), options)
        print(kind, json.dumps(result), flush=True)
        if options.size == "public":
            known = json.loads(RESULT.read_text()) if RESULT.exists() else {}
            same = known.get(kind, result)["seconds"] == options.seconds
            known[kind if same else f"{kind}, {options.seconds:g} s"] = result
            RESULT.write_text(json.dumps(known, indent=1) + "\n")


def measure(kind: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Both programs on one song, one after the other, so many times."""
    song, model = folder / "song.wav", folder / "model"
    write_song(song, options.seconds)
    compile_package()  # as the others are
    peer = [options.peers, str(PEER)]
    subprocess.run([*peer, "make", kind, options.size, str(model)], check=True)
    commands = {
        "peer": [*peer, "separate", str(model), str(song), str(folder / "peer")],
        "unbraid": [
            *(sys.executable, "-m", "unbraid", "separate", str(song), "-m", str(_file(model))),
            *("-o", str(folder / "unbraid"), "--float32", "--clip-mode", "none", "--overwrite"),
            *_as_peer(kind),
        ],
    }
    found: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for _ in range(options.runs):
        for name, command in commands.items():
            found[name].append(run_timed(command))
            print(kind, name, found[name][-1], flush=True)
    return {
        **summary(found, "peer", options.seconds),
        "deviation_db": round(_deviation(folder / "peer", folder / "unbraid" / "song"), 1),
    }


def _file(model: Path) -> Path:
    bag, checkpoint = model / "bag.yaml", model / "model.ckpt"
    if bag.exists():
        return bag
    return checkpoint if checkpoint.exists() else next(model.glob("*.th"))


def _as_peer(kind: str) -> list[str]:
    """Options for the windows and the overlap of the other program."""
    if kind not in OVERLAPS:
        return ["--shifts", "0"]
    return ["--windows", "flat", "--overlap", str(1 - 1 / OVERLAPS[kind])]


def _deviation(theirs: Path, ours: Path) -> float:
    """Of our stems from theirs, in dB of their energy.

    A constant does not count: demucs leaves the mean of the song out, unbraid shares it out.
    """
    error = energy = 0.0
    for path in sorted(theirs.glob("*.wav")):
        wanted, found = (soundfile.read(folder / path.name)[0] for folder in (theirs, ours))
        difference = wanted - found
        error += np.square(difference - difference.mean(axis=0)).sum()
        energy += np.square(wanted).sum()
    return float(10 * np.log10(error / energy + 1e-30))


if __name__ == "__main__":
    main()
