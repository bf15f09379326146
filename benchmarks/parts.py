"""Where the time of a forward pass goes, and how much of it is arithmetic that must be done.

    python -m benchmarks.parts [--seconds 20]

The 48-channel Hybrid Demucs with random weights, on one thread, in CPU seconds of the process, so
that other programs disturb little. STFTs count to the spectral decoder's level 0. The floor of a
part is its operations, as the plain model does them (counted by torch), over the measured rate of a
large matrix product. A part may lie below it: Winograd's way takes half of the operations of a 3x3
convolution. The result goes to benchmarks/parts.json.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import machine
from unbraid.models.hybrid_demucs import HybridDemucs, HybridDemucsConfig
from unbraid.runtimes.inference.hybrid import QuickHybridDemucs

HERE = Path(__file__).parent
RATE = 44100
COUNTED_S = 4  # operations grow with the length; counting them takes a pass of the plain model


def main() -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = HybridDemucs(HybridDemucsConfig(residual_scale=0.2)).eval()
    operations = count(model)
    seconds = measure(QuickHybridDemucs(model), options.seconds)
    peak = product_rate()
    rows = []
    for part, spent in seconds.items():
        work = operations.get(part, 0.0) * options.seconds
        rows.append(
            {
                "part": part,
                "cpu_s": round(spent, 3),
                "gflop": round(work / 1e9, 1),
                "floor_s": round(work / peak, 3),
            }
        )
    result = {
        "machine": machine.describe(),
        "seconds": options.seconds,
        "product_gflops": round(peak / 1e9, 1),
        "rows": rows,
    }
    (HERE / "parts.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


@torch.no_grad()
def count(model: HybridDemucs) -> dict[str, float]:
    """Operations of each part of the plain model for a second of audio."""
    with FlopCounterMode(display=False) as counter:
        model(torch.randn(1, 2, COUNTED_S * RATE))
    per_s: dict[str, float] = defaultdict(float)
    for name, counts in counter.get_flop_counts().items():
        path = name.split(".")[1:]
        if len(path) == 2 and path[1].isdecimal() and "shared" not in path[0]:
            per_s[_label(path[0], int(path[1]))] += sum(counts.values()) / COUNTED_S
        elif path in (["meeting"], ["parting"]) or (len(path) == 2 and "shared" in path[0]):
            per_s["core"] += sum(counts.values()) / COUNTED_S
    return per_s


def _label(group: str, index: int) -> str:
    level = index if "encoder" in group else 3 - index
    branch, way = group.split("_")
    return f"{'spectral' if branch == 'spec' else branch} {way}, level {level}"


@torch.no_grad()
def measure(quick: QuickHybridDemucs, seconds: float) -> dict[str, float]:
    """CPU seconds of each part of the inference form."""
    spent: dict[str, float] = {}

    def timed(work: Callable[..., Any], label: str) -> Callable[..., Any]:
        def run(*args: Any, **options: Any) -> Any:
            begun = time.process_time()
            result = work(*args, **options)
            spent[label] = spent.get(label, 0.0) + time.process_time() - begun
            return result

        return run

    pairs = enumerate(quick._encoders)
    quick._encoders = [
        (timed(spec, _label("spec_encoder", i)), timed(wave, _label("time_encoder", i)))  # type: ignore[misc]
        for i, (spec, wave) in pairs
    ]
    quick._time_decoders = [
        timed(layer, _label("time_decoder", i))  # type: ignore[misc]
        for i, layer in enumerate(quick._time_decoders)
    ]
    *inner, _ = quick._spec_decoders
    quick._spec_decoders[:-1] = [
        timed(layer, _label("spec_decoder", i))  # type: ignore[misc]
        for i, layer in enumerate(inner)
    ]
    quick._core = timed(quick._core, "core")  # type: ignore[assignment]
    mixture = 0.1 * torch.randn(1, 2, int(seconds * RATE))
    quick(mixture[..., :RATE])  # warm
    spent.clear()
    begun = time.process_time()
    quick(mixture)
    whole = time.process_time() - begun
    # The last spectral layer runs piece by piece into the inverse STFT: both are what is left.
    spent[_label("spec_decoder", 3)] = whole - sum(spent.values())
    return spent


def product_rate() -> float:
    """Operations a second of a large matrix product."""
    a, best = torch.randn(1024, 1024), float("inf")
    for _ in range(8):
        begun = time.process_time()
        a @ a
        best = min(best, time.process_time() - begun)
    return 2 * 1024**3 / best


if __name__ == "__main__":
    main()
