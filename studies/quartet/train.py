"""Trains the drums-bass-other network; processes average their weights now and then.

python -m studies.quartet.train --run RUN --pool FOLDER:WEIGHT ... --valid FOLDER [--minutes 60]
    [--rank 0 --world 2 --port 29511] [--start WEIGHTS] [--lr 2e-3]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import soundfile as sf
import torch
from safetensors.torch import load_file, save_file

from studies.quartet.batches import STEMS, Mixer, Pool
from studies.quartet.moments import load_moments, save_moments
from unbraid.models.band_unet.config import BandUNetConfig
from unbraid.models.band_unet.network import BandPowers, BandUNet, band_powers, istft, stft, to_bins

WEIGHTS = torch.tensor([1.0, 1.5, 1.0, 1.0])  # of drums, bass, other and traces of vocals


def loss_of(masks: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Error of the estimates in the spectrum: as nSDR has it, and of amplitudes in every band."""
    mixture = batch["own"][:, None]
    error = masks.square() * mixture - 2 * masks * batch["cross"] + batch["source"]
    total = batch["own"].sum((1, 2, 3))[:, None]
    level = error.sum((2, 3, 4)) / (total + 1e-6)
    known = batch["source"].sum((2, 3, 4)) / (total + 1e-6)
    decibels = 10 * ((level + 0.003).log10() - (known + 0.003).log10())
    amplitude = (
        (error.clamp(min=0) + 1e-6 * mixture.mean((2, 3, 4), keepdim=True) + 1e-6)
        .sqrt()
        .mean((2, 3, 4))
    )
    amplitude = amplitude / (batch["own"].sqrt().mean((1, 2, 3))[:, None] + 1e-2)
    return (decibels * WEIGHTS[: decibels.shape[1]]).mean() * 0.2 + 0.5 * amplitude.mean()


def with_outputs(weights: dict[str, torch.Tensor], outputs: int) -> dict[str, torch.Tensor]:
    """Weights of a network of fewer stems for one of more: the new ones begin almost silent."""
    kernel, bias = weights["leave.weight"], weights["leave.bias"]
    if (more := outputs - len(kernel)) > 0:
        weights["leave.weight"] = torch.cat([kernel, 0.5 * kernel[-more:]])
        weights["leave.bias"] = torch.cat([bias, bias[-more:] - 3.0])
    return weights


class Songs:
    """Songs to measure by: nSDR of each stem, behind the true vocals or those of a first link.

    Args:
        folders: of one song's stems each; or .npz files of `behind.py`.
    """

    def __init__(self, folders: list[Path], seconds: float = 60) -> None:
        self.songs, self.power = {}, {}
        for folder in folders:
            if folder.suffix == ".npz":
                with np.load(folder) as file:
                    self.songs[folder.name], self.power[folder.name] = file["stems"], file["power"]
                continue
            stems = {p.stem: p for p in folder.iterdir() if p.stem in STEMS}
            audio = {k: sf.read(p, dtype="float32", always_2d=True)[0] for k, p in stems.items()}
            n = min(min(map(len, audio.values())), int(44100 * seconds))
            self.songs[folder.name] = np.stack([audio[k][:n].T for k in STEMS])

    @torch.no_grad()
    def scores(self, model: BandUNet) -> dict[str, list[float]]:
        out = {}
        for name, true in self.songs.items():
            sources = torch.from_numpy(true)
            mixture = sources.sum(0, keepdim=True)
            config = model.config
            z = stft(mixture, config.n_fft)
            masks = model.masks(band_powers(z, config.edges))
            shares = to_bins(masks, config.edges)
            estimates = istft(shares * z[:, None], config.n_fft, mixture.shape[-1])[0]
            if len(sources) == 4 and len(estimates) == 3:
                estimates = torch.cat([estimates, torch.zeros_like(estimates[:1])])
            error = (estimates[: len(sources)] - sources).square().sum((1, 2)) + 1e-7
            power = torch.from_numpy(self.power.get(name, np.square(true).sum((1, 2))))
            out[name] = (10 * torch.log10((power + 1e-7) / error)).tolist()
        return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--pool", nargs="+", required=True)
    parser.add_argument("--valid", type=Path, nargs="*", default=[])
    parser.add_argument("--start", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--end", type=float, default=0.05, help="last learning rate over the first")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--voices", type=Path, help="folder of .npy (samples, 2)")
    parser.add_argument("--left", type=Path, help="folder of make_sung.py's files: a fourth stem")
    parser.add_argument("--behind", type=float, default=0.3, help="how often such a file is heard")
    parser.add_argument("--sung", type=float, default=0.2, help="made-up traces, how often")
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--optimizer", type=Path, help="state to go on with")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--channels", type=int, nargs=4)
    parser.add_argument("--average", type=float, default=0.995)
    parser.add_argument("--apart", type=float, default=0.4)
    parser.add_argument("--every", type=float, default=5, help="minutes between measurements")
    parser.add_argument("--rank", type=int, default=0)
    parser.add_argument("--world", type=int, default=1)
    parser.add_argument("--port", type=int, default=29512)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.world > 1:
        torch.distributed.init_process_group(
            "gloo", f"tcp://127.0.0.1:{args.port}", rank=args.rank, world_size=args.world
        )
    torch.manual_seed(args.seed)
    names = (*STEMS, "vocals") if args.left else STEMS
    config = BandUNetConfig(
        stems=names, **({"channels": tuple(args.channels)} if args.channels else {})
    )
    model = BandUNet(config)
    if args.start:
        model.load_state_dict(with_outputs(load_file(args.start), 2 * len(names)))
    averaged = torch.optim.swa_utils.AveragedModel(
        model,
        multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(args.average),
        use_buffers=True,
    )
    optimizer = torch.optim.AdamW(model.parameters(), args.lr, betas=(0.9, 0.98), weight_decay=0.01)
    if args.optimizer:
        load_moments(args.optimizer, optimizer)
    folders, weights = zip(*(p.rsplit(":", 1) for p in args.pool), strict=True)
    pool = Pool([Path(f) for f in folders], [float(w) for w in weights])
    mixer = Mixer(
        pool,
        config.edges,
        args.frames,
        (args.seed, args.rank),
        args.apart,
        voices=args.voices,
        sung=args.sung,
        stems=len(names),
        left=args.left,
        behind=args.behind,
    )
    songs = Songs(args.valid) if args.rank == 0 else None
    args.run.mkdir(parents=True, exist_ok=True)
    log = (args.run / f"log{args.rank}.jsonl").open("a")
    begin, step, recent, best, measured = time.time(), 0, [], -99.0, time.time()
    log.write(json.dumps({"args": {k: str(v) for k, v in vars(args).items()}}) + "\n")
    while True:
        spent = torch.tensor((time.time() - begin) / 60 / args.minutes)
        if args.world > 1 and step % 10 == 0:
            torch.distributed.broadcast(spent, 0)
            progress = float(spent)
        elif args.world == 1:
            progress = float(spent)
        if progress >= 1:
            break
        rate = args.lr * min(1, (step + 1) / 60)
        rate *= args.end + (1 - args.end) * 0.5 * (1 + np.cos(np.pi * progress))
        for group in optimizer.param_groups:
            group["lr"] = float(rate)
        batch = {k: torch.from_numpy(v) for k, v in mixer.batch(args.batch).items()}
        model.train()
        loss = loss_of(model.masks(BandPowers(batch["own"], batch["shared"])), batch)
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        if torch.isfinite(norm):
            optimizer.step()
        else:
            log.write(json.dumps({"step": step, "refused": float(loss.detach())}) + "\n")
        step += 1
        recent.append(float(loss.detach()))
        if args.world > 1 and step % 10 == 0:
            for value in [
                *model.parameters(),
                *(b for b in model.buffers() if b.is_floating_point()),
            ]:
                torch.distributed.all_reduce(value.data)
                value.data /= args.world
        averaged.update_parameters(model)
        if step % 25 == 0:
            mixer.look()
            log.write(
                json.dumps(
                    {
                        "step": step,
                        "min": round((time.time() - begin) / 60, 2),
                        "loss": round(float(np.mean(recent)), 4),
                        "cpu": round(time.process_time()),
                        "songs": len(pool.songs),
                    }
                )
                + "\n"
            )
            log.flush()
            recent = []
        if songs and time.time() - measured > args.every * 60:
            averaged.module.eval()
            scores = songs.scores(averaged.module)
            means = np.mean([values[:3] for values in scores.values()], 0)
            log.write(
                json.dumps(
                    {
                        "step": step,
                        "min": round((time.time() - begin) / 60, 2),
                        "mean": [round(float(v), 3) for v in means],
                        "all": round(float(means.mean()), 3),
                        "songs": {k: [round(x, 2) for x in v] for k, v in scores.items()},
                    }
                )
                + "\n"
            )
            log.flush()
            save_file(averaged.module.state_dict(), args.run / "last.safetensors")
            if means.mean() > best:
                best = float(means.mean())
                save_file(averaged.module.state_dict(), args.run / "best.safetensors")
            save_file(averaged.module.state_dict(), args.run / f"step{step:06d}.safetensors")
            save_moments(args.run / "moments.safetensors", optimizer)
            measured = time.time()
    if args.rank == 0:
        save_moments(args.run / "moments.safetensors", optimizer)
        save_file(averaged.module.state_dict(), args.run / "end.safetensors")


if __name__ == "__main__":
    main()
