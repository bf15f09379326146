"""How fast a machine makes the steps of a recipe: excerpts a second, by precision and batch size.

    python -m benchmarks.step_speed mini-gpu OUT.json [--modes bf16,tf32,bf16+search]
                                      [--batches 32,64] [--device cuda] [--steps 8] [--cap 100]

Whole steps of `unbraid train` on noise: changes of the stems, the model both ways, optimizer,
averages; only reading is left out. Each mode is a process of its own, ended after `--cap` seconds.
After its precision may follow "+compile" or "+search" (run.compile, run.cudnn_benchmark).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("out", type=Path)
    parser.add_argument("--modes", default="bf16,tf32")
    parser.add_argument("--batches", default="32,64")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--cap", type=float, default=100.0)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        for batch in options.batches.split(","):
            print(json.dumps(measure(options, options.modes, int(batch))), flush=True)
        return
    rows: list[dict[str, Any]] = []
    for mode in options.modes.split(","):
        command = [sys.executable, *sys.argv, "--here", "--modes", mode]
        try:
            told = subprocess.run(
                command, capture_output=True, text=True, timeout=options.cap, check=False
            )
            output, error = told.stdout, told.stderr[-600:] if told.returncode else ""
        except subprocess.TimeoutExpired as late:
            output, error = (late.stdout or b"").decode(), "too slow"
        rows += [json.loads(line) for line in output.splitlines() if line.startswith("{")]
        if error:
            rows.append({"mode": mode, "error": error})
        options.out.write_text(json.dumps(rows, indent=1))
        print(*[row for row in rows if row["mode"] == mode], sep="\n", flush=True)


def measure(options: argparse.Namespace, mode: str, batch_size: int) -> dict[str, Any]:
    """Steps of one kind, after three to warm up."""
    import torch

    from unbraid.training.distributed import Team
    from unbraid.training.feed import Batch, Feed
    from unbraid.training.recipes import read_recipe
    from unbraid.training.session import callable_model, make_state
    from unbraid.training.start import first_model, recipe_on
    from unbraid.training.steps import Stepper, set_precision

    precision, *extra = mode.split("+")
    keys = {"compile": "run.compile=true", "search": "run.cudnn_benchmark=true"}
    changes = [f"run.precision={precision}", f"optimizer.batch_size={batch_size}"]
    changes.append("data.resident=false")  # noise lies where it is made
    recipe = read_recipe(options.recipe, changes + [keys[name] for name in extra])
    if recipe.start.model:
        recipe = recipe_on(recipe, recipe.start.model)
    team = Team(device=options.device)
    set_precision(recipe.run, team.device)
    model = first_model(recipe)[0].to(team.device)
    rate = model.spec.sample_rate
    samples = int(recipe.excerpts.excerpt_s * rate)
    noise = Noise(samples, batch_size)
    feed = Feed(noise, recipe, team, rate)  # type: ignore[arg-type]
    state = make_state(model, recipe, team)
    stepper = Stepper(callable_model(model, recipe), recipe, team, feed, state, noise.stems, 1000)
    batch = Batch(0.1 * torch.randn(batch_size, 4, 2, samples), list(range(batch_size)), 0.0)
    if options.device.startswith("cuda"):
        batch = Batch(batch.sources.pin_memory(), batch.indices, 0.0)
    begun = time.perf_counter()
    for _ in range(3):
        result = stepper.make(batch)
    warm = time.perf_counter()
    for _ in range(options.steps):
        result = stepper.make(batch)
    seconds = (time.perf_counter() - warm) / options.steps
    peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    return {
        "mode": mode, "batch": batch_size, "excerpts_per_s": round(batch_size / seconds, 2),
        "step_s": round(seconds, 4), "warm_up_s": round(warm - begun, 1), "loss": result.loss,
        "peak_gb": round(peak / 1e9, 2),
    }  # fmt: skip


class Noise:
    """Stands for a dataset."""

    stems = ("drums", "bass", "other", "vocals")

    def __init__(self, samples: int, count: int) -> None:
        self.samples, self._count = samples, count

    def __len__(self) -> int:
        return self._count


if __name__ == "__main__":
    main()
