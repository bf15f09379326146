"""A dataset in few bytes, for a machine that only little can be carried to; and back.

    python scripts/mini/pack.py pack SET OUT [--cut SECONDS] [--stems bass] [--kbps 44] [--seed 0]
    python scripts/mini/pack.py unpack OUT ROOT

`pack` writes the tracks of SET/train as OUT/TRACK/STEM.opus and OUT/TRACK/length, of each track a
stretch of `--cut` seconds where the most stems sound, or all of it. A stem that is silent there has
no file: train with data.missing="silence". 44.1 kHz is coded as if it were 48, so that nothing is
resampled: the codec then cuts at 18.4 kHz instead of 20. `unpack` makes a dataset of 16-bit wav
files of it, ROOT/train/TRACK/STEM.wav, with all cores; it needs numpy and soundfile alone.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import soundfile

STEMS = ("drums", "bass", "other", "vocals")
SHARES = {"drums": 1.0, "bass": 0.5, "other": 1.0, "vocals": 0.8}  # of the rate of bits
CODED_HZ, HZ = 48000, 44100
BLOCK_S, AUDIBLE = 0.5, 10 ** (-55 / 20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack")
    packing.add_argument("dataset", type=Path)
    packing.add_argument("out", type=Path)
    packing.add_argument("--tracks", default="*", help="which, as a pattern of their names")
    packing.add_argument("--cut", type=float, default=0.0)
    packing.add_argument("--stems", default=",".join(STEMS))
    packing.add_argument("--kbps", type=float, default=44.0)
    packing.add_argument("--seed", type=int, default=0)
    unpacking = commands.add_parser("unpack")
    unpacking.add_argument("pack", type=Path)
    unpacking.add_argument("root", type=Path)
    options = parser.parse_args()
    if options.command == "pack":
        folders = sorted((options.dataset / "train").glob(options.tracks))
        for number, folder in enumerate(folders):
            rng = np.random.default_rng((options.seed, number))
            pack_track(folder, options.out, options.stems.split(","), options, rng)
    else:
        jobs = sorted(path.parent for path in options.pack.glob("*/length"))
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(unpack_track, jobs, [options.root / "train"] * len(jobs)))


def pack_track(
    folder: Path, out: Path, stems: list[str], options: argparse.Namespace, rng: np.random.Generator
) -> None:
    """One track, or a stretch of it; nothing if nothing sounds."""
    sounds = {}
    for stem in stems:
        if (path := folder / f"{stem}.wav").exists():
            sounds[stem], rate = soundfile.read(path, dtype="float32", always_2d=True)
            if rate != HZ:
                raise SystemExit(f"{path} has {rate} Hz; {HZ} Hz can be packed")
    samples = len(next(iter(sounds.values())))
    count = min(samples, int(options.cut * HZ) or samples)
    start = best_start(sounds, count, rng)
    kept = {stem: sound[start : start + count] for stem, sound in sounds.items()}
    kept = {stem: sound for stem, sound in kept.items() if np.abs(sound).max() > AUDIBLE}
    if not kept:
        return
    (out / folder.name).mkdir(parents=True, exist_ok=True)
    (out / folder.name / "length").write_text(str(count))
    for stem, sound in kept.items():
        write_opus(out / folder.name / f"{stem}.opus", sound, int(options.kbps * SHARES[stem]))


def best_start(sounds: dict[str, np.ndarray], count: int, rng: np.random.Generator) -> int:
    """A start from which on the most stems sound for the longest; of the best ones any."""
    block = int(BLOCK_S * HZ)
    loud = np.array([_audible_blocks(sound, block) for sound in sounds.values()]).sum(axis=0)
    wide = max(1, count // block)
    if len(loud) <= wide:
        return 0
    scores = np.convolve(loud, np.ones(wide), "valid")
    return int(rng.choice(np.flatnonzero(scores >= 0.9 * scores.max()))) * block


def _audible_blocks(sound: np.ndarray, block: int) -> np.ndarray:
    whole = sound[: len(sound) // block * block].reshape(-1, block, sound.shape[1])
    return np.sqrt(np.square(whole).mean(axis=(1, 2))) > AUDIBLE


def write_opus(path: Path, sound: np.ndarray, kbps: int) -> None:
    """Opus in Ogg, both channels if they differ."""
    import av

    mono = sound.shape[1] == 1 or not np.any(np.abs(sound[:, 0] - sound[:, 1]) > 1e-3)
    layout = "mono" if mono else "stereo"
    planes = np.ascontiguousarray(sound[:, :1].T if mono else sound[:, :2].T)
    with av.open(str(path), "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=CODED_HZ, layout=layout)
        stream.bit_rate = 1000 * (kbps * 2 // 3 if mono else kbps)
        for start in range(0, planes.shape[1], 960):
            piece = planes[:, start : start + 960]
            packed = np.ascontiguousarray(piece.T).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
            frame.sample_rate, frame.pts = CODED_HZ, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def unpack_track(folder: Path, root: Path) -> None:
    samples = int((folder / "length").read_text())
    (root / folder.name).mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.opus"):
        sound, _ = soundfile.read(path, dtype="float32", always_2d=True)
        whole = np.zeros((samples, 2), np.float32)
        whole[: len(sound)] = sound[:samples]
        soundfile.write(root / folder.name / f"{path.stem}.wav", whole, HZ, subtype="PCM_16")


if __name__ == "__main__":
    main()
