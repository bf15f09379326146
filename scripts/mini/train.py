"""Train `mini`, the small model that ships, on the folders that make_data.py writes.

    python scripts/mini/train.py --data mini-data --run mini-run --minutes 90

A short script, on purpose: random excerpts, remixed across songs, one loss, Adam, a moving average
of the weights. It stops when its minutes are over, keeps its state in --run, and goes on from there
when it is started again. `unbraid train mini` does what it does, by the library's own means.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import math
import queue
import threading
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from scipy.signal import butter, sosfilt

from unbraid.models.hybrid_demucs import HybridDemucs, HybridDemucsConfig
from unbraid.separation.engine import apply_model
from unbraid.separation.settings import SeparationSettings
from unbraid.training.losses import stem_losses, weighted_loss
from unbraid.training.widen import widen
from unbraid.zoo.load import load_model

STEMS = ("drums", "bass", "other", "vocals")
RATE = 44100


class Songs:
    """Stems of all songs as memory maps; looks again for new songs from time to time."""

    def __init__(self, root: Path, real_share: float) -> None:
        self.root, self.real_share = root, real_share
        self.refresh()

    def refresh(self) -> None:
        self.songs: dict[str, list[dict]] = {"real": [], "synthetic": [], "bass": []}
        for meta_path in sorted(self.root.glob("*/meta.json")):
            meta = json.loads(meta_path.read_text())
            stems = {
                stem: np.load(path, mmap_mode="r")
                for stem in STEMS
                if (path := meta_path.parent / f"{stem}.npy").exists()
            }
            self.songs[meta["kind"]].append({"meta": meta, "stems": stems})

    def choose(self, rng: np.random.Generator, stem: str | None = None) -> dict:
        """A song at random, long ones as likely as short ones; one that has `stem`, if given."""
        kind = (
            "real" if rng.random() < self.real_share or not self.songs["synthetic"] else "synthetic"
        )
        pool = [song for song in self.songs[kind] if stem is None or stem in song["stems"]]
        pool = pool or [
            song for songs in self.songs.values() for song in songs if stem in song["stems"]
        ]
        return pool[rng.integers(len(pool))]


def excerpt(stem: np.ndarray, start: int, samples: int, speed: float) -> np.ndarray:
    """`samples` samples from `start`, played `speed` times faster: (2, samples) float32."""
    need = math.ceil(samples * speed) + 2
    piece = np.asarray(stem[max(start, 0) : start + need], dtype=np.float32).T / 32768
    piece = np.pad(piece, ((0, 0), (0, need - piece.shape[1])))
    if speed == 1:
        return piece[:, :samples]
    at = np.arange(samples) * speed
    return np.stack([np.interp(at, np.arange(need), channel) for channel in piece]).astype(
        np.float32
    )


def loud_start(rng: np.random.Generator, stem: np.ndarray, samples: int, tries: int = 4) -> int:
    """A random start, preferring places where the stem sounds."""
    for _ in range(tries):
        start = int(rng.integers(max(1, len(stem) - samples)))
        if np.abs(stem[start : start + samples : 64]).max(initial=0) > 300:
            break
    return start


def choose_song(songs: Songs, rng: np.random.Generator, stem: str, together: dict | None) -> dict:
    """Where a stem comes from: the item's one song, or any; a bass from one that has it.

    Only one real song for training has a bass, and it plays in 6 % of it: without this the model
    hardly ever hears one.
    """
    if stem == "bass":
        has_bass = together is not None and "bass" in together["stems"]
        if has_bass and together["meta"]["kind"] == "synthetic":
            return together
        kind = str(rng.choice(("bass", "real", "synthetic"), p=(0.25, 0.1, 0.65)))
        pool = [song for song in songs.songs[kind] if "bass" in song["stems"]]
        if pool:
            return pool[rng.integers(len(pool))]
    return together or songs.choose(rng, stem)


def make_item(songs: Songs, rng: np.random.Generator, samples: int) -> np.ndarray:
    """One training item, (4, 2, samples): a third from one song, the rest remixed across songs."""
    item = np.zeros((4, 2, samples), np.float32)
    together = songs.choose(rng) if rng.random() < 0.33 else None
    common_start = None
    dull = False
    for index, stem in enumerate(STEMS):
        song = choose_song(songs, rng, stem, together)
        if stem not in song["stems"] or rng.random() < ABSENT[stem]:
            continue
        sound = song["stems"][stem]
        start = loud_start(rng, sound, samples, tries=60 if stem == "bass" else 4)
        if song is together:
            start = common_start = start if common_start is None else common_start
        reach = 0.4 if stem == "bass" else 0.12
        alike = song is together or rng.random() < 0.3
        speed = 1.0 if alike else float(np.exp(rng.uniform(-reach, reach)))
        piece = excerpt(sound, start, samples, speed)
        if stem == "other" and not song["meta"].get("bass_known", True):
            piece = sosfilt(HIGH_PASS, piece).astype(np.float32)  # a synth that plays the bass line
        elif stem == "drums" and rng.random() < NO_KICK:
            piece = sosfilt(NO_KICK_FILTERS[rng.integers(len(NO_KICK_FILTERS))], piece)
            piece = piece.astype(np.float32)
        lift_db, spread_db = (8, 9) if stem == "bass" else (0, 5)
        gain_db = rng.normal(lift_db, 2 if song is together else spread_db)
        piece = piece * 10 ** (gain_db / 20) * rng.choice([-1, 1])
        item[index] = piece[::-1] if rng.random() < 0.5 else piece
        dull |= bool(song["meta"].get("bandlimited"))
    if dull or rng.random() < 0.1:
        item = sosfilt(LOW_PASS, item).astype(np.float32)
    loudest = np.abs(item.sum(0)).max()
    return item / max(loudest, 1e-3) * rng.uniform(0.3, 1)


ABSENT = {"drums": 0.25, "bass": 0.1, "other": 0.15, "vocals": 0.15}  # how often a stem is silent
NO_KICK = 0.3  # how often a beat has hats and snares alone: what is low is then none of the drums
NO_KICK_FILTERS = [butter(4, hz, "highpass", fs=RATE, output="sos") for hz in (120, 200, 350)]
HIGH_PASS = butter(4, 150, "highpass", fs=RATE, output="sos")
LOW_PASS = butter(8, 9000, "lowpass", fs=RATE, output="sos")


def batches(songs: Songs, args: argparse.Namespace, seed: int):
    """Batches (batch, 4, 2, samples), made by a thread while the model computes."""
    ready: queue.Queue[torch.Tensor] = queue.Queue(maxsize=4)

    def work() -> None:
        rng = np.random.default_rng(seed)
        samples = int(args.segment * RATE)
        while True:
            items = np.stack([make_item(songs, rng, samples) for _ in range(args.batch)])
            ready.put(torch.from_numpy(items))

    threading.Thread(target=work, daemon=True).start()
    while True:
        yield ready.get()


WEIGHTS = torch.tensor([1.5, 1.5, 0.7, 1.0])
"""Of the stems' losses: what shares the lowest octaves is heard most."""


def amplitude_loss(estimates: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    """Mean over items and stems of the error's level relative to the mixture's, as an amplitude."""
    return weighted_loss(stem_losses(estimates, sources, "relative"), WEIGHTS)


def source_loss(estimates: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    """As `amplitude_loss`, but against the source's level, and a little of the mixture's.

    What nSDR sees: a stem that is heard where it is quiet, or silent, costs most.
    """
    error = (estimates - sources).square().mean((-2, -1))
    source = sources.square().mean((-2, -1))
    mixture = sources.sum(1).square().mean((-2, -1))[:, None]
    return (error / (source + 0.05 * mixture + 1e-6) + 1e-4).sqrt().mean()


LOSSES = {"amplitude": amplitude_loss, "source": source_loss}


def start_quietly(model: HybridDemucs) -> None:
    """Let both ways out begin near silence, in place.

    Random output would first have to be unlearnt, with gradients that Adam remembers for long.
    """
    with torch.no_grad():
        for way_out in (model.spec_decoder[-1], model.time_decoder[-1]):
            way_out.conv.weight.mul_(0.16)
            way_out.conv.bias.zero_()


def first_model(args: argparse.Namespace) -> HybridDemucs:
    """From scratch, or from `--start`, as wide as asked for."""
    config = HybridDemucsConfig(
        width=args.width, segment_s=args.infer_segment, residual_scale=0.05, norm_from=1
    )
    if not args.start:
        model = HybridDemucs(config)
        start_quietly(model)
        return model
    model = widen(load_model(args.start), args.width, args.seed)
    return model.train().requires_grad_()


def nsdr(reference: torch.Tensor, estimate: torch.Tensor) -> float:
    """10 log10 of source over error energy, whole song."""
    error = (reference - estimate).double().square().sum()
    return float(10 * torch.log10((reference.double().square().sum() + 1e-7) / (error + 1e-7)))


def validate(model: torch.nn.Module, folder: Path, window: tuple[int, int] | None) -> list[float]:
    """nSDR of every stem of the validation song, or of a window of it (seconds)."""
    cut = slice(None) if window is None else slice(window[0] * RATE, window[1] * RATE)
    sources = torch.stack(
        [
            torch.from_numpy(np.load(folder / f"{stem}.npy")[cut].T / np.float32(32768))
            for stem in STEMS
        ]
    )
    mixture = sources.sum(0)
    std = mixture.mean(0).std()
    estimates = apply_model(model, (mixture / std)[None], SeparationSettings())[0] * std
    return [nsdr(s, e) for s, e in zip(sources, estimates, strict=True)]


def average_gradients(model: torch.nn.Module, progress: float, workers: int) -> float:
    """Mean of all workers' gradients, in place, and of how far each thinks it is."""
    flat = torch.cat([p.grad.flatten() for p in model.parameters()] + [torch.tensor([progress])])
    dist.all_reduce(flat)
    flat /= workers
    at = 0
    for p in model.parameters():
        p.grad.copy_(flat[at : at + p.numel()].view_as(p))
        at += p.numel()
    return float(flat[-1])


def train(rank: int, args: argparse.Namespace) -> None:
    """One of `args.workers` processes; one thread each, since small layers gain nothing of more."""
    torch.set_num_threads(1)
    store = f"file://{args.run.resolve()}/rendezvous"
    dist.init_process_group("gloo", store, rank=rank, world_size=args.workers)
    torch.manual_seed(args.seed)
    model = first_model(args)
    average = copy.deepcopy(model).eval()
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr, betas=(0.9, 0.99), eps=1e-12)
    step, progress = 0, 0.0
    state_path = args.run / "state.pt"
    if state_path.exists():
        state = torch.load(state_path, weights_only=True)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        step, progress = state["step"], state["progress"]
    songs = Songs(args.data / "train", args.real_share)
    stream = batches(songs, args, seed=args.seed + step + 1000 * rank)
    log = (args.run / f"log{rank}.jsonl").open("a")
    started, last_saved = time.monotonic() - progress * args.minutes * 60, time.monotonic()
    losses: list[float] = []

    while progress < 1:
        sources = next(stream)
        loss = LOSSES[args.loss](model(sources.sum(1)), sources)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        spent = time.monotonic() - started
        progress = average_gradients(model, spent / (args.minutes * 60), args.workers)
        for group in optimizer.param_groups:
            group["lr"] = (
                args.lr * min(1, (step + 1) / 60) * max(0.01, math.cos(progress * math.pi / 2))
            )
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        if torch.isfinite(norm):
            optimizer.step()
        step += 1
        losses.append(float(loss.detach()))
        decay = min(args.decay, step / (step + 20))
        with torch.no_grad():
            for mean, value in zip(average.parameters(), model.parameters(), strict=True):
                mean.lerp_(value, 1 - decay)
        if rank == 0 and step % 25 == 0:
            say(
                log,
                step=step,
                minutes=round(spent / 60, 2),
                loss=round(float(np.mean(losses[-25:])), 4),
            )
        if time.monotonic() - last_saved > args.save_every * 60:
            last_saved = time.monotonic()
            songs.refresh()
            if rank == 0:
                save(state_path, model, average, optimizer, step, progress)
                scores = validate(average, args.data / "valid" / "Potassium", (60, 90))
                counts = {kind: len(found) for kind, found in songs.songs.items()}
                say(log, step=step, songs=counts, valid=[round(v, 2) for v in scores])
    if rank == 0:
        save(state_path, model, average, optimizer, step, progress)
        whole = validate(average, args.data / "valid" / "Potassium", None)
        say(log, step=step, minutes=args.minutes, valid_whole=[round(v, 3) for v in whole])
    dist.barrier()
    dist.destroy_process_group()


def save(path: Path, model, average, optimizer, step: int, progress: float) -> None:
    state = {
        "config": dataclasses.asdict(model.config),
        "model": model.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "progress": progress,
    }
    torch.save(state, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)


def say(log, **facts) -> None:
    line = json.dumps(facts)
    log.write(line + "\n")
    log.flush()
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument(
        "--start", help="a model to go on from, such as mini; otherwise from scratch"
    )
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--segment", type=float, default=3, help="training excerpt, seconds")
    parser.add_argument("--infer-segment", type=float, default=10)
    parser.add_argument("--batch", type=int, default=2, help="for each worker")
    parser.add_argument("--loss", choices=sorted(LOSSES), default="amplitude")
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--decay", type=float, default=0.99)
    parser.add_argument("--real-share", type=float, default=0.4)
    parser.add_argument("--save-every", type=float, default=6, help="minutes")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.run.mkdir(parents=True, exist_ok=True)
    (args.run / "rendezvous").unlink(missing_ok=True)
    torch.multiprocessing.spawn(train, args=(args,), nprocs=args.workers)


if __name__ == "__main__":
    main()
