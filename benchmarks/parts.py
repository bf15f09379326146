"""Where the time of a forward pass goes, and how much of it is arithmetic that must be done.

    python -m benchmarks.parts [--seconds 40]

The 48-channel Hybrid Demucs with random weights in the native kernels, on one thread and on two.
The floor of a part is its operations, as the plain model does them (counted by torch), over the
measured rate of a large matrix product. A part may lie below it: Winograd's way takes a quarter of
the operations of a 3x3 convolution. Traffic is what a part must read and write at least: what goes
in, what comes out, its weights. The result goes to benchmarks/parts.json, and the roofline to
benchmarks/roofline.svg.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import machine, roofline
from unbraid.engines.native.hybrid import NativeHybridDemucs
from unbraid.models.hybrid_demucs.network import HybridDemucs, HybridDemucsConfig

HERE = Path(__file__).parent
RATE = 44100
COUNTED_S = 4  # operations grow with the length; counting them takes a pass of the plain model
GROUPS = ("spec_encoder", "time_encoder", "spec_decoder", "time_decoder")


def main() -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=40.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = HybridDemucs(HybridDemucsConfig(residual_scale=0.2)).eval()
    operations, traffic = count(model), traffic_of(model, options.seconds)
    one, two = (measure(model, options.seconds, threads) for threads in (1, 2))
    peak = product_rate()
    rows = []
    for part, spent in one.items():
        work = operations.get(part, 0.0) * options.seconds
        rows.append(
            {
                "part": part,
                "s": round(spent, 3),
                "s_on_two": round(two[part], 3),
                "gflop": round(work / 1e9, 1),
                "floor_s": round(work / peak, 3),
                "traffic_mb": round(traffic.get(part, 0.0) / 1e6),
            }
        )
    result = {
        "machine": machine.describe(),
        "seconds": options.seconds,
        "product_gflops": round(peak / 1e9, 1),
        "copy_gb_s": round(copy_rate() / 1e9, 1),
        "rows": rows,
    }
    (HERE / "parts.json").write_text(json.dumps(result, indent=1) + "\n")
    (HERE / "roofline.svg").write_text(roofline.draw(result))
    print(json.dumps(result, indent=1))


@torch.no_grad()
def count(model: HybridDemucs) -> dict[str, float]:
    """Operations of each part of the plain model for a second of audio."""
    with FlopCounterMode(display=False) as counter:
        model(torch.randn(1, 2, COUNTED_S * RATE))
    per_s: dict[str, float] = defaultdict(float)
    for name, counts in counter.get_flop_counts().items():
        path = name.split(".")[1:]
        if (part := _part_of(path)) is not None:
            per_s[part] += sum(counts.values()) / COUNTED_S
    return per_s


@torch.no_grad()
def traffic_of(model: HybridDemucs, seconds: float) -> dict[str, float]:
    """Bytes that a part reads and writes at least: signals in and out, and weights."""
    bytes_of: dict[str, float] = defaultdict(float)

    def watch(part: str) -> Callable[..., None]:
        def note(module: Any, inputs: Any, output: Any) -> None:
            tensors = [*inputs, *(output if isinstance(output, tuple) else (output,))]
            signals = sum(4 * t.numel() for t in tensors if isinstance(t, torch.Tensor))
            weights = sum(4 * p.numel() for p in module.parameters())
            bytes_of[part] += signals * seconds / COUNTED_S + weights

        return note

    hooks = []
    for name, module in model.named_modules():
        if (part := _part_of(name.split("."))) is not None:
            hooks.append(module.register_forward_hook(watch(part)))
    model(torch.randn(1, 2, COUNTED_S * RATE))
    for hook in hooks:
        hook.remove()
    return bytes_of


def _part_of(path: list[str]) -> str | None:
    """The part that a module is, by its place in the model; None if it is none or within one."""
    if path in (["meeting"], ["parting"]):
        return path[0]
    if len(path) != 2 or not path[1].isdecimal():
        return None
    return _label(path[0], int(path[1]))


def _label(group: str, index: int) -> str:
    branch, way = group.split("_")
    if branch == "shared":
        return f"shared {way}"
    level = index if way == "encoder" else 3 - index
    return f"{'spectral' if branch == 'spec' else branch} {way}, level {level}"


def measure(model: HybridDemucs, seconds: float, threads: int) -> dict[str, float]:
    """Seconds of each part, the best of three passes."""
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    native: Any = NativeHybridDemucs(model.config, weights, threads)
    spent: dict[str, float] = {}

    def timed(work: Callable[..., Any], label: str) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            begun = time.perf_counter()
            result = work(*args)
            spent[label] = spent.get(label, 0.0) + time.perf_counter() - begun
            return result

        return run

    for group in (*GROUPS, "shared_encoder", "shared_decoder"):
        layers = getattr(native, f"_{group}")
        for index, layer in enumerate(layers):
            if group == "spec_decoder" and index == len(layers) - 1:
                layer.signal = timed(layer.signal, _label(group, index))
            else:
                layers[index] = timed(layer, _label(group, index))
    native._meeting = timed(native._meeting, "meeting")
    native._parting = timed(native._parting, "parting")
    spectra = native._spectra
    spectra.enter = timed(spectra.enter, "STFT")
    spectra.leave = timed(spectra.leave, "inverse STFT")
    mixture = 0.1 * np.random.default_rng(0).standard_normal((1, 2, int(seconds * RATE)))
    song = mixture.astype(np.float32)
    native(song)  # touches its memory for the first time
    passes = []
    for _ in range(3):
        spent.clear()
        begun = time.perf_counter()
        native(song)
        whole = time.perf_counter() - begun
        passes.append({**spent, "the rest": whole - sum(spent.values())})
    return min(passes, key=lambda parts: sum(parts.values()))


def product_rate() -> float:
    """Operations a second of a large matrix product on one thread."""
    a, best = torch.randn(1024, 1024), float("inf")
    for _ in range(8):
        begun = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - begun)
    return 2 * 1024**3 / best


def copy_rate() -> float:
    """Bytes a second that a large copy reads and writes on one thread."""
    source, best = np.ones(1 << 26, np.float32), float("inf")
    target = np.ones_like(source)
    for _ in range(5):
        begun = time.perf_counter()
        np.copyto(target, source)
        best = min(best, time.perf_counter() - begun)
    return 2 * source.nbytes / best


if __name__ == "__main__":
    main()
