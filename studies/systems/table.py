"""The table of docs/systems-small.md: runs of `systems-small`, their scores and their costs.

    python -m studies.systems.table RUNS SCORES

RUNS is the folder of `unbraid train --grid systems-small`; SCORES/SET/NAME that of `unbraid
evaluate` for each run and set of songs. Multiply-adds are those of convolutions, matrix products
and recurrent layers for one segment, counted on shapes alone; Fourier transforms are not counted.
Seconds a minute are processor time of one pass over a segment with one thread.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from unbraid.models.registry import build_model
from unbraid.training.recipes import find_recipes, read_recipe

STEMS = ("drums", "bass", "other", "vocals")


def multiply_adds(model: nn.Module, samples: int) -> float:
    """Of one pass over a stereo mixture."""
    recurrent = 0

    def count(module: Any, inputs: Any, output: Any) -> None:
        nonlocal recurrent
        steps = inputs[0].shape[0] * inputs[0].shape[1]
        weights = [p.numel() for name, p in module.named_parameters() if "weight" in name]
        recurrent += steps * sum(weights)

    # On processors the counter sees nothing inside an LSTM.
    hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, nn.LSTM)]
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(torch.zeros(1, 2, samples))
    for hook in hooks:
        hook.remove()
    return counter.get_total_flops() / 2 + recurrent


def cost_row(name: str, path: Path) -> dict[str, float]:
    """Parameters, multiply-adds a second of song, processor seconds a minute of song."""
    recipe = read_recipe(path)
    model = build_model(recipe.model.architecture, recipe.model.settings).eval()
    samples = model.spec.segment_samples
    seconds = samples / model.spec.sample_rate
    work = multiply_adds(model, samples) / seconds
    sound = 0.1 * torch.randn(1, 2, samples)
    begun = time.process_time()
    with torch.inference_mode():
        model(sound)
    taken = time.process_time() - begun
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "multiply_adds_per_s": work,
        "seconds_per_minute": 60 * taken / seconds,
    }


def figures(folder: Path) -> dict[str, Any]:
    """uSDR and cSDR of all stems, with their intervals."""
    path = folder / "summary.json"
    return json.loads(path.read_text())["figures"] if path.exists() else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("scores", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="figures, as JSON")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows: dict[str, Any] = {}
    for name, path in find_recipes("systems-small").items():
        log = args.runs / name / "log.jsonl"
        lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        steps = max((line["step"] for line in lines), default=0)
        rows[name] = {"steps": steps, **cost_row(name, path)}
        for songs in sorted(args.scores.iterdir()):
            rows[name][songs.name] = figures(songs / name)
        print(name, rows[name]["steps"], rows[name]["parameters"], flush=True)
        args.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
