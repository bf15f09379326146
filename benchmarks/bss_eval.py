"""BSSEval beside museval 0.4.1: the same figures, at what CPU time and memory?

    python -m benchmarks.bss_eval --museval MUSEVAL_ENV/bin/python [--seconds 240]

MUSEVAL_ENV is an environment of its own with museval 0.4.1, "numpy<2" and soundfile. A made-up song
of four stereo stems at 44.1 kHz is scored by both, from the same wav files, on one thread, each in
a process of its own; CPU time and peak memory are the kernel's figures for it. The result goes to
benchmarks/bss_eval.json.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks import machine

HERE = Path(__file__).parent
RATE = 44100
STEMS = ("bass", "drums", "other", "vocals")
METRICS = ("SDR", "ISR", "SIR", "SAR")

_MUSEVAL = """
import json, sys, numpy, soundfile
from museval.metrics import bss_eval
def read(folder, stem):
    return soundfile.read(f"{sys.argv[1]}/{folder}/song/{stem}.wav", always_2d=True)[0]
stems = sys.argv[2].split(",")
references = numpy.array([read("references", stem) for stem in stems])
estimates = numpy.array([read("estimates", stem) for stem in stems])
scores = bss_eval(references, estimates, window=44100, hop=44100)
print(json.dumps([numpy.array(values).tolist() for values in scores[:4]]))
"""


def main() -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--museval", metavar="PYTHON", help="interpreter that has museval")
    parser.add_argument("--seconds", type=float, default=240.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # In a process of its own: a child's peak counts what its parent held when it was begun.
        maker = multiprocessing.Process(target=write_song, args=(Path(folder), options.seconds))
        maker.start()
        maker.join()
        ours, usage = _ours(Path(folder))
        result: dict[str, Any] = {
            "machine": machine.describe(),
            "seconds": options.seconds,
            "stems": len(STEMS),
            "unbraid": usage,
        }
        print(json.dumps(result), flush=True)
        if options.museval:
            theirs, result["museval"] = _theirs(Path(folder), options.museval)
            result["share_of_cpu"] = round(usage["cpu_s"] / result["museval"]["cpu_s"], 4)
            result["largest_difference_db"] = {
                metric: float(np.nanmax(np.abs(ours[i] - theirs[i])))
                for i, metric in enumerate(METRICS)
            }
            result["same_nan"] = bool((np.isnan(ours) == np.isnan(theirs)).all())
    (HERE / "bss_eval.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


def write_song(root: Path, seconds: float) -> None:
    """References and estimates of four stems: coloured noise and notes, with leaks and noise."""
    random = np.random.default_rng(0)
    samples = round(seconds * RATE)
    time = np.arange(samples) / RATE
    references = []
    for number in range(len(STEMS)):
        white = random.standard_normal((samples, 2))
        colour = np.hanning(4 + 10 * number)
        noise = np.stack(
            [np.convolve(channel, colour / colour.sum(), "same") for channel in white.T]
        )
        note = np.sin(2 * np.pi * 110 * (number + 1) * time) * (time * (number + 1) % 1 < 0.6)
        references.append(0.05 * noise + 0.1 * note * np.array([[1.0], [0.7]]))
    for number, stem in enumerate(STEMS):
        estimate = references[number] + 0.1 * references[number - 1]
        estimate[:, 5:] += 0.1 * references[number][:, :-5]
        estimate += 0.005 * random.standard_normal(estimate.shape)
        for folder, signal in (("references", references[number]), ("estimates", estimate)):
            path = root / folder / "song" / f"{stem}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, signal.T, RATE, subtype="FLOAT")


def _ours(root: Path) -> tuple[np.ndarray, dict[str, float]]:
    command = [
        sys.executable,
        "-m",
        "unbraid",
        "evaluate",
        "--references",
        str(root / "references"),
    ]
    command += ["--estimates", str(root / "estimates"), "--out", str(root / "scores"), "--quiet"]
    _, usage = _measure(command)
    content = json.loads((root / "scores" / "test" / "song.json").read_text())
    scores = [
        [[frame["metrics"][metric] for frame in target["frames"]] for target in content["targets"]]
        for metric in METRICS
    ]
    return np.array(scores), usage


def _theirs(root: Path, python: str) -> tuple[np.ndarray, dict[str, float]]:
    output, usage = _measure([python, "-c", _MUSEVAL, str(root), ",".join(STEMS)])
    return np.array(json.loads(output)), usage


def _measure(command: list[str]) -> tuple[str, dict[str, float]]:
    """Output of a process, its CPU seconds and its peak memory in 10^6 bytes."""
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    path = f"{Path(command[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(
            command, stdout=out, env={**os.environ, **one_thread, "PATH": path}
        )
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise RuntimeError(f"{command[:3]} ended with {os.waitstatus_to_exitcode(status)}")
        out.seek(0)
        text = out.read()
    cpu = usage.ru_utime + usage.ru_stime
    return text, {"cpu_s": round(cpu, 1), "peak_mb": round(usage.ru_maxrss * 1024 / 1e6)}


if __name__ == "__main__":
    main()
