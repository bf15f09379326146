"""Makes electronic songs, and deep basses with drums, for the drums-bass-other network.

    python -m studies.quartet.make_electronic OUT --ingredients FOLDER --first 0 --count 40 --seed 8

By the code of `unbraid data songs`, without voices; int16 .npy files (3, samples, 2).
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from studies.quartet.band import FONTS
from studies.quartet.batches import STEMS
from unbraid.songs.deep_bass import LINES
from unbraid.songs.ingredients import Ingredients, find_ingredients
from unbraid.songs.make_song import make_low_end, make_song
from unbraid.songs.song import SongSettings


def make(seed: tuple[int, int], ingredients: Ingredients) -> np.ndarray:
    """One song: two in three electronic, the third drums and a deep bass alone."""
    settings = SongSettings(seconds=(40, 40))
    number = seed[1]
    silent = replace(ingredients, soundfont=FONTS[number % 2])
    silent.__dict__["voices"] = {}  # nobody sings
    if number % 3 == 2:
        line = LINES[number // 3 % len(LINES)]
        stems, _ = make_low_end(seed, silent, settings, line=line)
    else:
        stems, _ = make_song(seed, silent, settings, "electronic")
    samples = len(next(iter(stems.values())))
    silence = np.zeros((samples, 2), np.float32)
    audio = np.stack([stems.get(stem, silence) for stem in STEMS])
    return (np.clip(audio, -0.999, 0.999) * 32767).astype(np.int16)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--ingredients", type=Path, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=8)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    ingredients = find_ingredients(args.ingredients)
    for number in range(args.first, args.first + args.count):
        path = args.out / f"electronic{number:04d}.npy"
        if not path.exists():
            half = path.with_name(f"tmp{number}.npy")
            np.save(half, make((args.seed, number), ingredients))
            half.rename(path)


if __name__ == "__main__":
    main()
