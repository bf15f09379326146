"""A dataset in few bytes, for a machine that only little can be carried to; and back.

    python scripts/mini/pack.py pack SET OUT [--cut SECONDS] [--stems bass] [--kbps 44] [--seed 0]
                                             [--low]
    python scripts/mini/pack.py unpack OUT ROOT

`pack` writes the tracks of SET/train as OUT/TRACK/STEM.opus and OUT/TRACK/length, of each track a
stretch of `--cut` seconds where the most stems sound, or all of it. A stem that is silent there has
no file: train with data.missing="silence". 44.1 kHz is coded as if it were 48, so that nothing is
resampled: the codec then cuts at 18.4 kHz instead of 20. With `--low`, for the lower part of a
model of two rates, everything is brought to 11 025 Hz, coded as if it were 16 000, and all of the
band is kept. `unpack` makes a dataset of 16-bit wav files of it, ROOT/train/TRACK/STEM.wav, with
all cores; it needs numpy, soundfile and soxr alone.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import soundfile
import soxr

STEMS = ("drums", "bass", "other", "vocals")
SHARES = {"drums": 1.0, "bass": 0.5, "other": 1.0, "vocals": 0.8}  # of the rate of bits
HZ, LOW_HZ = 44100, 11025
CODED_HZ = {HZ: 48000, LOW_HZ: 16000}
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
    packing.add_argument("--low", action="store_true", help=f"at {LOW_HZ} Hz")
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
    hz = LOW_HZ if options.low else HZ
    if options.low:
        sounds = {stem: soxr.resample(sound, HZ, hz, "VHQ") for stem, sound in sounds.items()}
    samples = len(next(iter(sounds.values())))
    count = min(samples, int(options.cut * hz) or samples)
    start = best_start(sounds, count, hz, rng)
    kept = {stem: sound[start : start + count] for stem, sound in sounds.items()}
    kept = {stem: sound for stem, sound in kept.items() if np.abs(sound).max() > AUDIBLE}
    if not kept:
        return
    (out / folder.name).mkdir(parents=True, exist_ok=True)
    (out / folder.name / "length").write_text(f"{count} {hz}")
    for stem, sound in kept.items():
        coded_hz = CODED_HZ[hz]
        write_opus(
            out / folder.name / f"{stem}.opus", sound, coded_hz, int(options.kbps * SHARES[stem])
        )


def best_start(sounds: dict[str, np.ndarray], count: int, hz: int, rng: np.random.Generator) -> int:
    """A start from which on the most stems sound for the longest; of the best ones any."""
    block = int(BLOCK_S * hz)
    loud = np.array([_audible_blocks(sound, block) for sound in sounds.values()]).sum(axis=0)
    wide = max(1, count // block)
    if len(loud) <= wide:
        return 0
    scores = np.convolve(loud, np.ones(wide), "valid")
    return int(rng.choice(np.flatnonzero(scores >= 0.9 * scores.max()))) * block


def _audible_blocks(sound: np.ndarray, block: int) -> np.ndarray:
    whole = sound[: len(sound) // block * block].reshape(-1, block, sound.shape[1])
    return np.sqrt(np.square(whole).mean(axis=(1, 2))) > AUDIBLE


def write_opus(path: Path, sound: np.ndarray, hz: int, kbps: int) -> None:
    """Opus in Ogg, of a sound at that rate; both channels if they differ."""
    import av

    mono = sound.shape[1] == 1 or not np.any(np.abs(sound[:, 0] - sound[:, 1]) > 1e-3)
    layout = "mono" if mono else "stereo"
    planes = np.ascontiguousarray(sound[:, :1].T if mono else sound[:, :2].T)
    with av.open(str(path), "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=hz, layout=layout)
        stream.bit_rate = 1000 * (kbps * 2 // 3 if mono else kbps)
        frame_samples = hz // 50
        for start in range(0, planes.shape[1], frame_samples):
            piece = planes[:, start : start + frame_samples]
            packed = np.ascontiguousarray(piece.T).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
            frame.sample_rate, frame.pts = hz, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def unpack_track(folder: Path, root: Path) -> None:
    samples, hz = map(int, (folder / "length").read_text().split())
    (root / folder.name).mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.opus"):
        sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
        if rate != CODED_HZ[hz]:
            raise SystemExit(f"{path} was decoded at {rate} Hz, {CODED_HZ[hz]} Hz are wanted")
        whole = np.zeros((samples, 2), np.float32)
        whole[: len(sound)] = sound[:samples]
        soundfile.write(root / folder.name / f"{path.stem}.wav", whole, hz, subtype="PCM_16")


if __name__ == "__main__":
    main()
