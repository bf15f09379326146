"""The table of docs/systems-small.md: runs of `systems-small`, their scores and their costs.

    python -m studies.systems.table RUNS SCORES --costs costs.json

RUNS is the folder of `unbraid train --grid systems-small`; SCORES/SET/NAME that of `unbraid
evaluate` for each run and each set of songs. Costs are those of one second of stereo, measured once
and kept in the file: multiply-adds of convolutions, matrix products and LSTMs (Fourier transforms
are not counted), and processor time with one thread.
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


def cost_row(path: Path) -> dict[str, float]:
    """Parameters, multiply-adds a second of song, processor seconds a minute of song."""
    recipe = read_recipe(path)
    model = build_model(recipe.model.architecture, recipe.model.settings).eval()
    samples = model.spec.sample_rate
    work = multiply_adds(model, samples)
    sound = 0.1 * torch.randn(1, 2, samples)
    begun = time.process_time()
    with torch.inference_mode():
        model(sound)
    taken = time.process_time() - begun
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "multiply_adds_per_s": work,
        "seconds_per_minute": 60 * taken,
    }


def all_costs(kept: Path) -> dict[str, dict[str, float]]:
    """Of each recipe; what stands in the file is not measured again."""
    costs = json.loads(kept.read_text()) if kept.exists() else {}
    torch.set_num_threads(1)
    for name, path in find_recipes("systems-small").items():
        if name not in costs:
            costs[name] = cost_row(path)
            kept.write_text(json.dumps(costs, indent=1) + "\n")
    return costs


def trained_steps(run: Path) -> int:
    """How many steps the saved weights have seen; 0 for a run that never saved any."""
    log = run / "log.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return max((row["step"] for row in rows if row["kind"] == "epoch"), default=0)


def figure(found: dict[str, Any], name: str, stem: str) -> str:
    """A figure, in dB."""
    value = found.get(name, {}).get(stem, {}).get("value")
    return "" if value is None else f"{value:.2f}"


def score_cells(folder: Path) -> list[str]:
    """uSDR of each stem, of all with its interval, and cSDR of all."""
    path = folder / "summary.json"
    if not path.exists():
        return [""] * (len(STEMS) + 2)
    found = json.loads(path.read_text())["figures"]
    whole = found["uSDR"]["all"]
    mean = f"{whole['value']:.2f} ({whole['low']:.2f} to {whole['high']:.2f})"
    return [*(figure(found, "uSDR", s) for s in STEMS), mean, figure(found, "cSDR", "all")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("scores", type=Path)
    parser.add_argument("--costs", type=Path, required=True, help="kept here, as JSON")
    args = parser.parse_args()
    costs = all_costs(args.costs)
    print("| system | steps | parameters | G multiply-adds a s | s a minute |")
    for name, cost in costs.items():
        print(
            f"| {name} | {trained_steps(args.runs / name)} | {cost['parameters'] / 1e6:.2f} M "
            f"| {cost['multiply_adds_per_s'] / 1e9:.2f} | {cost['seconds_per_minute']:.0f} |"
        )
    for songs in sorted(args.scores.iterdir()):
        print(f"\n| {songs.name} | {' | '.join(STEMS)} | all | cSDR |")
        for name in costs:
            print(f"| {name} | {' | '.join(score_cells(songs / name))} |")


if __name__ == "__main__":
    main()
