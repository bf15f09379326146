"""Runs of one recipe's data and steps beside the first of them, excerpt by excerpt.

    python -m studies.ablations.compare_runs --data ../mini-test RUN RUN...

Prints for each RUN, a folder of `unbraid train`:

- its parameters, and the mean training loss of the last 50 steps;
- the loss on `--excerpts` excerpts that no run has seen, of DATA/test, mixed as the first run's
  recipe mixes its own and the same for every run; by stem too;
- how much more that is than the first run's, with the standard error of the mean of the
  differences: it leaves out what all runs find hard, but not what another seed would change.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

from studies.mini.measure import RATE, STEMS
from unbraid.data.augment import augment
from unbraid.data.excerpts import Excerpts
from unbraid.data.index import build_index
from unbraid.engines.load import load_model
from unbraid.errors import UnbraidError
from unbraid.training.losses import stem_losses
from unbraid.training.recipes import read_recipe
from unbraid.training.runlog import read_log
from unbraid.training.seeds import generator_of

SEED = 7919
LAST_STEPS = 50


def unseen(data: Path, run: Path, count: int) -> list[torch.Tensor]:
    """Sources of excerpts of DATA/test, (1, stems, channels, samples) each."""
    recipe = read_recipe(run / "recipe.toml")
    index = build_index([data], "test", STEMS)
    excerpts = Excerpts(index, STEMS, RATE, 2, recipe.excerpts, SEED)
    return [
        augment(
            excerpts[number][None],
            recipe.augment,
            RATE,
            generator_of(SEED, "augment", number),
            stems=STEMS,
        )
        for number in range(count)
    ]


@torch.no_grad()
def losses(run: Path, excerpts: list[torch.Tensor]) -> np.ndarray:
    """Of the kind that the run was trained by, (excerpts, stems)."""
    kind = read_recipe(run / "recipe.toml").loss.kind
    model = load_model(str(run / "checkpoints" / "best.safetensors"))
    found = [stem_losses(model(sources.sum(1)), sources, kind) for sources in excerpts]
    return torch.stack(found).numpy()


def training_loss(run: Path) -> float:
    """Mean of the last steps, from a log of every step."""
    rows = [row for row in read_log(run / "log.jsonl") if row["kind"] == "step"]
    return float(np.mean([row["loss"] for row in rows[-LAST_STEPS:]]))


def parameters(run: Path) -> float:
    """In millions."""
    facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
    return float(facts["parameters"]) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--excerpts", type=int, default=200)
    args = parser.parse_args()
    excerpts = unseen(args.data, args.runs[0], args.excerpts)
    heads = ["run", "parameters", "training", *STEMS, "unseen", "beside the first"]
    print("| " + " | ".join(heads) + " |\n|---" + "|---" * (len(heads) - 1) + "|", flush=True)
    first = None
    for run in args.runs:
        found = losses(run, excerpts)
        first = found if first is None else first
        more = (found - first).mean(1)
        error = more.std(ddof=1) / np.sqrt(len(more))
        cells = [f"{value:.4f}" for value in (training_loss(run), *found.mean(0), found.mean())]
        cells += [f"{more.mean():+.4f} ± {error:.4f}"]
        name = f"{run.parent.name}/{run.name}"
        print(f"| {name} | {parameters(run):.2f} M | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    try:
        main()
    except UnbraidError as error:
        sys.exit(f"error: {error}")
