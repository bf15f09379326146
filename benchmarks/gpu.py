"""On a GPU: whole programs beside PyPI demucs 4.1.0, and the model's passes by themselves.

    python -m benchmarks.gpu [--demucs PYTHON] [--songs 6] [--seconds 240] [--cap 220] [--out FILE]

The same model and songs as in `benchmarks.peers`, from wav files to float32 wav files, all songs in
one command of each program; the same with a single song, so that what a further song costs is the
difference. Then passes of the model alone by batch size and precision, with their deviation from
float64, and how much of a pass the card computes. A part that fails or comes too late says so in
the result, which is written after each part: benchmarks/gpu.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks import machine
from benchmarks.peers import MAKE_MODEL, NAME
from benchmarks.songs import write_song

RESULT = Path(__file__).parent / "gpu.json"
DEVICE = "cuda"
SAME = ("--float32", "--clip-mode", "none", "--shifts", "0")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
START = """
import json, sys, time
begun, told = time.perf_counter(), {}
def tell(name):
    global begun
    told[name] = round(time.perf_counter() - begun, 2)
    begun = time.perf_counter()
import torch
tell("import torch")
torch.zeros(1, device="cuda")
tell("first use of the card")
from unbraid.api import Separator
separator = Separator(sys.argv[1], device="cuda")
separator._fingerprint
tell("model, its fingerprint")
from unbraid.engines.arrays import run_model
import numpy as np
for name, size in (("first pass", 1), ("first pass of eight", 8), ("second pass of eight", 8)):
    batch = np.random.default_rng(0).standard_normal((size, 2, 44 * 44100), np.float32)
    tell("noise")
    run_model(separator.model.model, batch)
    tell(name)
del told["noise"]
print(json.dumps(told))
"""


class Parts:
    """Parts of a measurement, each of them kept as soon as it is done."""

    def __init__(self, out: Path, cap_s: float) -> None:
        self.out, self._end = out, time.monotonic() + cap_s
        self.found: dict[str, Any] = {"machine": machine.describe()}

    def left_s(self) -> float:
        return self._end - time.monotonic()

    def add(self, name: str, work: Callable[[], Any], needs_s: float = 5.0) -> Any:
        """Do a part if there is time, and write down what came of it."""
        begun = time.monotonic()
        if self.left_s() < needs_s:
            self.found[name] = {"error": "no time was left"}
        else:
            try:
                self.found[name] = work()
            except Exception as error:  # the other parts shall be measured all the same
                self.found[name] = {"error": f"{type(error).__name__}: {error!s:.500}"}
        self.out.write_text(json.dumps(self.found, indent=1) + "\n")
        took = time.monotonic() - begun
        print(f"{name} ({took:.1f} s): {json.dumps(self.found[name])[:1500]}", flush=True)
        return self.found[name]


def main() -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demucs", metavar="PYTHON", default=sys.executable)
    parser.add_argument("--songs", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--cap", type=float, default=220.0, help="seconds for all parts")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    parts = Parts(options.out, options.cap)
    parts.found |= {"songs": options.songs, "seconds": options.seconds}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "error" not in parts.add("prepared", lambda: prepare(folder, options)):
            parts.add("layers", lambda: measure_layers("mini", 5.0))
            parts.add("start", lambda: measure_start(folder / "own.safetensors"))
            compare(parts, folder, options)
            parts.add("passes", lambda: measure_passes(folder / "own.safetensors", 44.0), 20)
            parts.add("passes of mini", lambda: measure_passes("mini", 5.0), 15)
            parts.add("transfers", measure_transfers)


def prepare(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Songs, and the weights as both programs want them."""
    import torch

    write_song(folder / "long.wav", options.seconds)
    sound, rate = soundfile.read(folder / "long.wav")
    for number in range(options.songs):
        soundfile.write(folder / f"song-{number}.wav", sound, rate, subtype="PCM_16")
    public = folder / "models" / f"{NAME}.th"
    public.parent.mkdir()
    subprocess.run([options.demucs, "-c", MAKE_MODEL, str(public)], check=True)
    importing = [sys.executable, "-m", "unbraid", "models", "import", str(public)]
    subprocess.run([*importing, "-o", str(folder / "own.safetensors")], check=True)
    return {"card": torch.cuda.get_device_name(), "cuda": torch.version.cuda}


def compare(parts: Parts, folder: Path, options: argparse.Namespace) -> None:
    """Both programs with many songs and with one; deviations from demucs' stems."""
    songs = [str(folder / f"song-{number}.wav") for number in range(options.songs)]
    demucs = [options.demucs, "-m", "demucs", "-n", NAME, "--repo", str(folder / "models")]
    own = [sys.executable, "-m", "unbraid", "separate", "--device", DEVICE, "--quiet"]

    def run(name: str, few: bool) -> dict[str, Any]:
        program, _, precision = name.partition(" ")
        out = folder / f"{name}-{few}".replace(" ", "-")
        how = ["--model", str(folder / "own.safetensors"), "--precision", precision]
        commands = {
            "demucs": [*demucs, "-d", DEVICE, *SAME],
            "unbraid": [*own, *how, *SAME],
            "mini": own,
        }
        chosen = songs[:1] if few else songs
        row = _timed([*commands[program], "-o", str(out), *chosen], parts.left_s())
        if program == "unbraid" and not few:
            row["deviation_db"] = _deviation(folder / "demucs-False", out)
        return row

    # The first run of all finds nothing in the machine's caches; it is not used.
    parts.add("warm-up", lambda: run("unbraid auto", True))
    parts.add("warm-up of demucs", lambda: run("demucs", True))
    for name in ("demucs", "unbraid auto", "unbraid bf16", "unbraid fp32", "mini"):
        many = parts.add(name, lambda name=name: run(name, False), 25)  # type: ignore[misc]
        one = parts.add(f"{name}, one song", lambda name=name: run(name, True), 15)  # type: ignore[misc]
        if "wall_s" in many and "wall_s" in one and options.songs > 1:
            further = (many["wall_s"] - one["wall_s"]) / (options.songs - 1)
            many["further_song_s"] = round(further, 2)
            many["times_real_time"] = round(options.songs * options.seconds / many["wall_s"], 1)
            many["further_times_real_time"] = round(options.seconds / further, 1)


def _timed(command: list[str], cap_s: float) -> dict[str, Any]:
    begun = time.monotonic()
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(command, stdout=told, stderr=told)
        try:
            process.wait(max(1.0, cap_s))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        wall_s = time.monotonic() - begun
        told.seek(0)
        if process.returncode:
            last = told.read()[-600:].decode(errors="replace")
            raise RuntimeError(f"{command[1:4]} ended with {process.returncode}: {last}")
    return {"wall_s": round(wall_s, 2)}


def _deviation(theirs: Path, ours: Path) -> float:
    """As in `benchmarks.peers`, over all songs: in dB of the energy of demucs' stems."""
    signals = []
    for top in (theirs, ours):
        files = sorted(top.rglob("*.wav"), key=lambda path: (path.parent.name, path.name))
        signals.append([soundfile.read(path, dtype="float32")[0] for path in files[:4]])
    total, error = 0.0, 0.0
    for there, here in zip(*signals, strict=True):
        difference = (there - here).astype(np.float64)
        error += float(np.square(difference - difference.mean(axis=0)).sum())
        total += float(np.square(there.astype(np.float64)).sum())
    return round(10 * np.log10(error / total), 1)


def measure_passes(name: Path | str, segment_s: float) -> dict[str, Any]:
    """Audio seconds a second by batch size, deviation from float64, and the card's share."""
    import torch

    from unbraid.engines.load import load_model
    from unbraid.engines.ready import as_model

    model: Any = load_model(name)
    mixture = _excerpt(segment_s)
    with torch.no_grad():
        exact = model.double().to(DEVICE)(mixture[None].double().to(DEVICE)).cpu()
    model = load_model(name)
    model.to(DEVICE)
    found: dict[str, Any] = {"segment_s": segment_s}
    for precision in PRECISIONS:
        found[precision] = _by_batch(as_model(model, precision), mixture, exact)
    found["card_share"], found["longest_kernels"] = _on_card(model, mixture[None].to(DEVICE))
    return found


def measure_start(model: Path) -> dict[str, float]:
    """Seconds that a process takes until it separates, step by step."""
    command = [sys.executable, "-c", START, str(model)]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(told.stdout)
    return found


def measure_layers(name: str, segment_s: float) -> dict[str, Any]:
    """Each layer of the model by itself: float32 on the card beside float64 on the processor.

    Both get what a pass in float64 gives the layer, so that no error is another layer's: of each
    kind the worst in dB and its name; then the STFT, there and back, and the whole model.
    """
    import torch

    from unbraid.engines.load import load_model

    exact: Any = load_model(name).double()
    card: Any = load_model(name).to(DEVICE)
    theirs, worst = dict(card.named_modules()), dict[str, Any]()

    def compare(path: str, layer: Any, given: Any, made: Any) -> None:
        given = [part.float().to(DEVICE) if part.is_floating_point() else part.to(DEVICE)
                 for part in given]  # fmt: skip
        here = theirs[path](*given)
        here, made = (part[0] if isinstance(part, tuple) else part for part in (here, made))
        error = (here.double().cpu() - made).square().sum() / made.square().sum()
        found = round(float(10 * error.log10()), 1)
        kind = type(layer).__name__
        if kind not in worst or found > worst[kind][0]:
            worst[kind] = [found, path]

    for path, layer in exact.named_modules():
        if not path.endswith("stft") and (not list(layer.children()) or hasattr(layer, "lstm")
                               or type(layer).__name__ == "LocalAttention"):  # fmt: skip
            layer.register_forward_hook(
                lambda layer, given, made, path=path: compare(path, layer, given, made)
            )
    mixture = _excerpt(segment_s)[None].double()
    with torch.no_grad():
        whole = exact(mixture)
        error = (card(mixture.float().to(DEVICE)).double().cpu() - whole).square().sum()
        stft = getattr(card, "full", card).stft  # of a model of two rates, the upper one's
        spectrum = stft(mixture.float().to(DEVICE))
        back = stft.inverse(spectrum, mixture.shape[-1]).double().cpu()
        there = stft(mixture)
        exact_back = stft.inverse(there, mixture.shape[-1])
    worst["whole"] = round(float(10 * (error / whole.square().sum()).log10()), 1)
    worst["stft"] = _db(spectrum.cpu().to(there.dtype) - there, there)
    worst["stft and back"] = _db(back - exact_back, exact_back)
    return worst


def _db(error: Any, signal: Any) -> float:
    return round(float(10 * (error.abs().square().sum() / signal.abs().square().sum()).log10()), 1)


def measure_transfers(megabytes: int = 128) -> dict[str, float]:
    """GB a second from the card: to fresh memory, to pinned memory, and with its allocation."""
    import torch

    there = torch.ones(megabytes << 18, device=DEVICE)

    def speed(work: Callable[[], Any]) -> float:
        torch.cuda.synchronize()
        begun = time.perf_counter()
        work()
        torch.cuda.synchronize()
        return round(there.nbytes / (time.perf_counter() - begun) / 1e9, 2)

    first = speed(lambda: torch.empty(there.shape, pin_memory=True).copy_(there))
    pinned = torch.empty(there.shape, pin_memory=True)
    pageable = [speed(there.cpu) for _ in range(3)]
    return {
        "pinned, with its allocation": first,
        "pinned": max(speed(lambda: pinned.copy_(there)) for _ in range(3)),
        "fresh memory": sorted(pageable)[1],
    }


def _excerpt(seconds: float) -> Any:
    import torch

    with tempfile.TemporaryDirectory() as folder:
        write_song(Path(folder) / "song.wav", seconds)
        sound, _ = soundfile.read(Path(folder) / "song.wav", dtype="float32")
    mixture = torch.from_numpy(np.ascontiguousarray(sound.T))
    return (mixture - mixture.mean()) / mixture.std()


def _by_batch(model: Any, mixture: Any, exact: Any) -> dict[str, Any]:
    import torch

    rows: dict[str, Any] = {}
    seconds = mixture.shape[-1] / 44100
    for size in (1, 2, 4, 8) if seconds > 20 else (1, 4, 16, 32):
        batch = mixture.expand(size, -1, -1).contiguous().to(DEVICE)
        with torch.no_grad():
            estimates = model(batch)
            model(batch)
            torch.cuda.synchronize()
            begun = time.perf_counter()
            for _ in range(3):
                model(batch)
            torch.cuda.synchronize()
        took = (time.perf_counter() - begun) / 3
        rows[str(size)] = round(size * seconds / took, 1)
        if size == 1:
            error = (estimates.double().cpu() - exact).square().sum() / exact.square().sum()
            rows["deviation_db"] = round(float(10 * error.log10()), 1)
    rows["peak_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
    return rows


def _on_card(model: Any, batch: Any) -> tuple[float, dict[str, float]]:
    """The share of a pass in which the card computes, for the rest it waits to be told what; and
    the shares of that of the ten kernels that take longest."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    with torch.no_grad():
        model(batch)
        torch.cuda.synchronize()
        begun = time.perf_counter()
        model(batch)
        torch.cuda.synchronize()
        wall_s = time.perf_counter() - begun
        with profile(activities=[ProfilerActivity.CUDA]) as seen:
            model(batch)
            torch.cuda.synchronize()
    rows = sorted(seen.key_averages(), key=lambda row: -row.self_device_time_total)
    busy_us = sum(row.self_device_time_total for row in rows)
    longest = {
        f"{row.key[:80]} x{row.count}": round(row.self_device_time_total / busy_us, 3)
        for row in rows[:10]
    }
    return round(busy_us / 1e6 / wall_s, 3), longest


if __name__ == "__main__":
    main()
