"""The most of a machine that is there for minutes: `unbraid train` within so many seconds.

    python scripts/mini/train_minutes.py mini-gpu --seconds 480 --out OUT --runs RUNS
        --data MADE --data REAL [--data-weights 5,4] [--set KEY=VALUE] [--speeds SPEEDS.json]

How fast a machine trains is only known once it does, and a learning rate that shall be down at the
end must know when that is. So there are two runs: one at a steady rate for most of the time, ended
by SIGTERM, and one from there whose epochs follow from the speed of the first. `--speeds` is what
step_speed.py found: it chooses precision and batch. OUT gets the averages and the best weights of
both runs as float16 safetensors, and their logs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

STEADY = 0.58  # share of the time
STARTING_S, BRINGING_S = 25.0, 12.0  # of a run before its first step; of weights at the end
EPOCHS = 6  # of the second run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("--seconds", type=float, required=True, help="for everything")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True, help="folder of both runs")
    parser.add_argument("--data", action="append", required=True)
    parser.add_argument("--data-weights")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--speeds", type=Path)
    options = parser.parse_args()
    end = time.monotonic() + options.seconds
    options.out.mkdir(parents=True, exist_ok=True)
    batch, changes = choose(options.speeds, options.seconds)
    steady = [*changes, "epochs=100000", "optimizer.final_lr=1.0"]
    left_s = end - time.monotonic() - BRINGING_S
    train(options, "steady", steady, STEADY * left_s)
    speed = excerpts_per_s(options.runs / "steady")
    left_s = end - time.monotonic() - BRINGING_S
    per_epoch = max(batch, int((left_s - STARTING_S) * 0.9 * speed / EPOCHS) // batch * batch)
    falling = [
        *(*changes, f"epochs={EPOCHS}", f"excerpts.per_epoch={per_epoch}"),
        f"start.model={options.runs / 'steady/checkpoints/last.safetensors'}",
    ]
    print(
        f"{speed:.0f} excerpts/s, {left_s:.0f} s left: {EPOCHS} epochs of {per_epoch}", flush=True
    )
    train(options, "falling", falling, left_s)
    bring(options.runs, options.out)


def choose(speeds: Path | None, seconds: float) -> tuple[int, list[str]]:
    """Batch size, and the recipe's changes: what makes most excerpts in the time there is."""
    if speeds is None or not speeds.exists():
        return 64, ["optimizer.batch_size=64"]
    rows = [row for row in json.loads(speeds.read_text()) if "excerpts_per_s" in row]
    best = max(rows, key=lambda row: row["excerpts_per_s"] * (seconds - 2 * row["warm_up_s"]))
    precision, *extra = best["mode"].split("+")
    changes = [f"run.precision={precision}", f"optimizer.batch_size={best['batch']}"]
    changes += ["run.cudnn_benchmark=true"] * ("search" in extra)
    return int(best["batch"]), changes + ["run.compile=true"] * ("compile" in extra)


def train(options: argparse.Namespace, name: str, changes: list[str], seconds: float) -> None:
    """A run that ends by itself or after so many seconds."""
    command = [sys.executable, "-m", "unbraid", "train", options.recipe]
    for root in options.data:
        command += ["--data", root]
    if options.data_weights:
        command += ["--data-weights", options.data_weights]
    command += ["--run", str(options.runs / name), "--device", options.device]
    for change in [*options.set, *changes]:  # what a run is for stands above what is asked of both
        command += ["--set", change]
    print(" ".join(command), flush=True)
    process = subprocess.Popen(command)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)  # it saves its state first
        process.wait(30)


def excerpts_per_s(run: Path) -> float:
    """The median over its log, the first rows left out."""
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    speeds = [row["examples_per_s"] for row in rows if row["kind"] == "step"]
    if not speeds:
        raise SystemExit(f"{run} made no step; its output above says why")
    return float(statistics.median(speeds[2:] or speeds))


def bring(runs: Path, out: Path) -> None:
    """What is worth keeping of both runs, small."""
    import torch
    from safetensors.torch import load_file, save_file

    def save(values: dict[str, Any], name: str) -> None:
        halves = {key: value.half().contiguous() for key, value in values.items()}
        save_file(halves, out / f"{name}.safetensors")

    for run in ("steady", "falling"):
        folder = runs / run
        if not (folder / "state.pt").exists():
            continue
        shutil.copy(folder / "log.jsonl", out / f"{run}.jsonl")
        state = torch.load(folder / "state.pt", map_location="cpu", weights_only=True)
        averages = state["averages"]
        slowest = max(averages, key=lambda name: averages[name]["decay"])
        save(averages[slowest]["values"], f"{run}-average")
        best = folder / "checkpoints/best.safetensors"
        if best.exists():
            save(load_file(best), f"{run}-best")


if __name__ == "__main__":
    main()
