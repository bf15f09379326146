"""Made-up songs as tracks that `unbraid train` reads: 16-bit wav files, one for each stem.

    python -m studies.quartet.as_tracks OUT --songs FOLDER [--equalize] [--valid N]

FOLDER has the .npy files of make_songs.py and real_stems.py, (3, samples, 2), or of make_sung.py,
(4, samples, 2), where the rest of the voice is added to "other". Writes
OUT/train/NAME/{drums,bass,other}.wav; a stem that is silent has no file (the recipe has
`data.missing = "silence"`), and tracks that are there stay. The last N songs go to OUT/valid.

With --equalize two thirds of the songs get equalizers that move each stem towards the balance of
records, as `Mixer` of batches.py does for every excerpt.
"""

from __future__ import annotations

import argparse
import zlib
from pathlib import Path

import numpy as np
import scipy.fft
import soundfile

from studies.quartet.batches import N_FFT, RATE, STEMS, random_curve, spectrum


def three_stems(song: np.ndarray) -> np.ndarray:
    """(3, samples, 2), int16: the fourth stem is part of the third, all at half of their level."""
    if len(song) == len(STEMS):
        return song
    halves = song // 2
    halves[2] += halves[3]
    return halves[:3]


def equalized(song: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(3, samples, 2), int16: each stem nearer to how records sound, as loud as it was."""
    if rng.random() < 0.33:
        return song
    out = np.zeros(song.shape, np.float32)
    samples = song.shape[1]
    hertz = scipy.fft.rfftfreq(samples, 1 / RATE)
    for number, (name, stem) in enumerate(zip(STEMS, song, strict=True)):
        if stem.any():
            audio = stem.astype(np.float32)
            power = np.square(np.abs(spectrum(audio))).sum((0, 1))
            curve = np.interp(
                hertz, np.arange(len(power)) * RATE / N_FFT, random_curve(rng, name, power)
            )
            z = scipy.fft.rfft(audio, axis=0) * curve[:, None].astype(np.float32)
            filtered = scipy.fft.irfft(z, samples, axis=0)
            out[number] = filtered * np.sqrt(np.square(audio).mean() / np.square(filtered).mean())
    return (out * min(1.0, 32_000 / float(np.abs(out).max()))).astype(np.int16)


def write_track(folder: Path, song: np.ndarray) -> None:
    """One folder of a track."""
    made = folder.with_name(f".{folder.name}.part")
    made.mkdir(parents=True, exist_ok=True)
    for name, stem in zip(STEMS, song, strict=True):
        if stem.any():
            soundfile.write(made / f"{name}.wav", stem, RATE, "PCM_16")
    made.rename(folder)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--songs", type=Path, required=True)
    parser.add_argument("--equalize", action="store_true")
    parser.add_argument("--valid", type=int, default=0)
    args = parser.parse_args()
    paths = [path for path in sorted(args.songs.glob("*.npy")) if path.name[:3] != "tmp"]
    for number, path in enumerate(paths):
        split = "valid" if number >= len(paths) - args.valid else "train"
        folder = args.out / split / path.stem
        if not folder.exists():
            song = three_stems(np.load(path))
            if args.equalize:
                song = equalized(song, np.random.default_rng(zlib.crc32(path.stem.encode())))
            write_track(folder, song)


if __name__ == "__main__":
    main()
