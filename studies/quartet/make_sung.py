"""Songs with a voice, as the first link of the chain leaves them: int16 .npy files (4, samples, 2).

    python -m studies.quartet.make_sung OUT --songs FOLDER ... --voices FOLDER --count 150

A voice (resampled to another singer's size, with a room) is added to an excerpt of a song, and
`quartet-vocals` takes its vocals out of the mix. A file has drums, bass, other and the voice's
error: voice minus estimate. The four add up to what the second link gets: part of the voice stays
in it, and part of the other stems is missing from it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import scipy.signal

import unbraid

RATE, SECONDS = 44_100, 24


def voice(rng: np.random.Generator, paths: list[Path], samples: int) -> np.ndarray:
    """Phrases of one recording, at another speed, somewhere in a room: (samples, 2)."""
    audio = np.load(paths[rng.integers(len(paths))], mmap_mode="r")
    speed = float(rng.uniform(0.84, 1.19))
    at = int(rng.integers(0, max(1, len(audio) - int(samples * speed))))
    piece = audio[at : at + int(samples * speed) + 2].astype(np.float32) / 32768
    index = np.arange(int(len(piece) / speed)) * speed
    sung = np.stack([np.interp(index, np.arange(len(piece)), side) for side in piece.T], 1)
    sung = np.resize(sung, (samples, 2)).astype(np.float32)
    if rng.random() < 0.7:
        sung = np.repeat(sung.mean(1, keepdims=True), 2, axis=1)
    if rng.random() < 0.6:
        sung = sung + room(rng, sung)
    return sung


def room(rng: np.random.Generator, dry: np.ndarray) -> np.ndarray:
    """What a room or a plate adds to a voice."""
    seconds = rng.uniform(0.3, 2.0)
    noise = rng.standard_normal((int(seconds * RATE), 2)).astype(np.float32)
    noise *= np.exp(-6.9 * np.arange(len(noise)) / len(noise))[:, None]
    delay = int(rng.uniform(0, 0.04) * RATE)
    wet = scipy.signal.fftconvolve(dry, noise, axes=0)[: len(dry)]
    wet = np.pad(wet, ((delay, 0), (0, 0)))[: len(dry)]
    level = np.sqrt(np.square(dry).mean() / (np.square(wet).mean() + 1e-12))
    return (wet * level * 10 ** (rng.uniform(-18, -6) / 20)).astype(np.float32)


def pauses(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Gains that leave the voice out for some seconds: (samples, 1)."""
    gain = np.ones(samples, np.float32)
    for _ in range(int(rng.integers(0, 4))):
        start = int(rng.integers(0, samples))
        gain[start : start + int(rng.uniform(1, 4) * RATE)] = 0
    smooth = np.hanning(2205).astype(np.float32)
    return scipy.signal.fftconvolve(gain, smooth / smooth.sum(), "same")[:, None]


def make(
    rng: np.random.Generator, songs: list[Path], voices: list[Path], lead: unbraid.Separator
) -> np.ndarray:
    """One file's content."""
    song = np.load(songs[rng.integers(len(songs))], mmap_mode="r")
    samples = min(SECONDS * RATE, song.shape[1])
    at = int(rng.integers(0, song.shape[1] - samples + 1))
    stems = song[:, at : at + samples].astype(np.float32) / 32768
    stems *= 10 ** (rng.normal(0, 2.5, (3, 1, 1)) / 20)
    backing = stems.sum(0)
    sung = voice(rng, voices, samples) * pauses(rng, samples)
    level = np.sqrt(np.square(backing).mean() / (np.square(sung).mean() + 1e-9))
    sung = sung * np.float32(level * 10 ** (rng.normal(-4, 4) / 20))
    mixture = backing + sung
    gain = 0.9 / max(1.0, float(np.abs(mixture).max()))
    stems, sung, mixture = stems * gain, sung * gain, mixture * gain
    found = lead.separate(np.ascontiguousarray(mixture.T, np.float32), RATE)["vocals"]
    parts = np.concatenate([stems, (sung - np.asarray(found).T)[None]])
    peak = max(1.0, float(np.abs(parts).max()))
    return (parts * (32_000 / peak)).astype(np.int16)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--songs", type=Path, nargs="+", required=True)
    parser.add_argument("--voices", type=Path, required=True)
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    songs = [p for f in args.songs for p in sorted(f.glob("*.npy")) if p.name[:3] != "tmp"]
    voices = sorted(args.voices.glob("*.npy"))
    lead = unbraid.Separator(model="quartet-vocals")
    for number in range(args.count):
        path = args.out / f"sung{number:04d}.npy"
        if path.exists():
            continue
        rng = np.random.default_rng((args.seed, number))
        np.save(path.with_name(f"tmp{number}.npy"), make(rng, songs, voices, lead))
        path.with_name(f"tmp{number}.npy").rename(path)


if __name__ == "__main__":
    main()
