"""The tables of docs/systems-small.md: runs of `systems-small`, their costs, curves and scores.

    python -m studies.systems.table RUNS SCORES SONGS --costs costs.json

RUNS is the folder of `unbraid train --grid systems-small`; SCORES/SET/NAME that of `unbraid
evaluate` for each run and each set of songs; SONGS/SET/test/TRACK/STEM.wav are these songs, for the
rows of silence, of simple signal processing and of the ideal mask. Costs are those of one second of
stereo, measured once and kept in the file: multiply-adds of convolutions, matrix products and LSTMs
(Fourier transforms are not counted), and processor time with one thread, the least of three.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from studies.quartet import measure
from unbraid.models.registry import build_model
from unbraid.training.recipes import find_recipes, read_recipe

Lines = Iterator[str]
"""A table in Markdown."""

STEMS = ("drums", "bass", "other", "vocals")
PUBLISHED = {
    "cac-unet": "6.26",
    "conv-tasnet": "5.73",
    "d3net": "6.01",
    "demucs-v2": "6.28",
    "dprnn": "none",
    "hybrid-demucs": "hq 7.68",
    "lasaft": "5.88",
    "mdx-net": "hq 7.47",
    "open-unmix": "5.33",
    "res-u-net": "6.73",
    "wave-u-net": "3.23",
    "wavenet": "(16 kHz mono)",
    "x-umx": "5.79",
}
"""Mean cSDR of the four stems on MUSDB18, in dB, of the whole system; docs/family.md has more."""


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
    taken = []
    for _ in range(3):
        begun = time.process_time()
        with torch.inference_mode():
            model(sound)
        taken.append(time.process_time() - begun)
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "multiply_adds_per_s": work,
        "seconds_per_minute": 60 * min(taken),
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


def curve(run: Path) -> dict[int, float]:
    """Steps -> mean nSDR on the validation songs, at each stop of a run."""
    log = run / "log.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return {row["step"]: row["candidates"][0]["nsdr"] for row in rows if row["kind"] == "epoch"}


def cost_lines(costs: dict[str, dict[str, float]], curves: dict[str, dict[int, float]]) -> Lines:
    """The table of steps, sizes and costs."""
    works = "parameters | 10^9 multiply-adds for 1 s | seconds for 1 min"
    yield f"| system | steps | {works} | published |"
    yield "|---|--:|--:|--:|--:|--:|"
    for name, cost in costs.items():
        yield (
            f"| `{name}` | {max(curves[name], default='none')} | {cost['parameters'] / 1e6:.2f} M "
            f"| {cost['multiply_adds_per_s'] / 1e9:.2f} | {cost['seconds_per_minute']:.0f} "
            f"| {PUBLISHED[name]} |"
        )


def curve_lines(curves: dict[str, dict[int, float]]) -> Lines:
    """The table of nSDR on the validation songs while the systems learn."""
    steps = sorted({step for found in curves.values() for step in found})
    yield f"| system | {' | '.join(map(str, steps))} |"
    yield "|---|" + "--:|" * len(steps)
    for name, found in curves.items():
        cells = [f"{found[step]:.2f}" if step in found else "" for step in steps]
        yield f"| `{name}` | {' | '.join(cells)} |"


def score_lines(scores: Path, songs: Path, names: list[str]) -> Lines:
    """The table of scores of one set of songs, the best system first."""
    yield f"| system | uSDR of all stems (95 %) | {' / '.join(STEMS)} | cSDR of all stems |"
    yield "|---|--:|---|--:|"
    figures = {
        name: json.loads((scores / name / "summary.json").read_text())["figures"]
        for name in names
        if (scores / name / "summary.json").exists()
    }
    for name in sorted(figures, key=lambda name: -figures[name]["uSDR"]["all"]["value"]):
        found = figures[name]
        whole = found["uSDR"]["all"]
        stems = " / ".join(f"{found['uSDR'][stem]['value']:.2f}" for stem in STEMS)
        mean = f"**{whole['value']:.2f}** ({whole['low']:.2f} to {whole['high']:.2f})"
        yield f"| `{name}` | {mean} | {stems} | {found['cSDR']['all']['value']:.2f} |"
    yield from baseline_lines(songs)


def baseline_lines(songs: Path) -> Lines:
    """Rows of silence, of ten lines of signal processing, and of the ideal mask."""
    for name, estimate in measure.make_rows([], None).items():
        found = []
        for folder in sorted(path for path in songs.iterdir() if path.is_dir()):
            stems = measure.read_song(folder)
            found.append(measure.score(stems, estimate(stems, sum(stems.values()))))
        means = [[song[stem] for song in found if stem in song] for stem in STEMS]
        cells = [f"{np.mean(values):.2f}" if values else "–" for values in means]
        yield f"| {name} | | {' / '.join(cells)} | |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("scores", type=Path)
    parser.add_argument("songs", type=Path)
    parser.add_argument("--costs", type=Path, required=True, help="kept here, as JSON")
    args = parser.parse_args()
    costs = all_costs(args.costs)
    curves = {name: curve(args.runs / name) for name in costs}
    print("\n".join([*cost_lines(costs, curves), "", *curve_lines(curves)]))
    for songs in sorted(args.songs.iterdir()):
        print(f"\n{songs.name}\n")
        print("\n".join(score_lines(args.scores / songs.name, songs / "test", list(costs))))


if __name__ == "__main__":
    main()
