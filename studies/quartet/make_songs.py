"""Makes songs of bands for the drums-bass-other network: int16 .npy files (3, samples, 2).

    python -m studies.quartet.make_songs OUT --ingredients FOLDER --first 0 --count 100 --seed 11

Unlike `unbraid data songs` there is no voice, and everything is what records of rock, pop, country
and metal bands are full of: distorted guitars, double-tracked, picked and palm-muted; basses that
follow the kick; kits close or in a room; dry takes next to pressed and saturated ones.
`--maker record` plays the instruments of `more_instruments` by hand (see records.py).
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from studies.quartet.band import FONTS
from studies.quartet.guitars import Guitars
from studies.quartet.mixing import balance, press, whole
from studies.quartet.records import Records
from unbraid.songs import compose
from unbraid.songs.ingredients import find_ingredients


class Maker(Guitars):
    """A song, from its parts to the mix."""

    def midi(self):
        """A band's piece from MIDI; guitars of it through amplifiers."""
        rng = self.rng
        for path in rng.permutation([str(p) for p in self.ing.pieces]):
            parts = compose.midi_parts(str(path))
            end = max((n.start for notes in parts.values() for n in notes), default=0)
            if end > 45 and sum(map(len, parts.values())) > 300 and any(c == 9 for c, _ in parts):
                break
        begin = rng.uniform(0, max(0.0, min(end - self.seconds, 120)))
        shift = int(rng.integers(-3, 4))
        drums, bass, others = [], [], []
        for (channel, program), notes in parts.items():
            notes = [
                n._replace(start=n.start - begin)
                for n in notes
                if begin <= n.start < begin + self.seconds
            ]
            if channel == 9:
                drums += notes
            elif notes:
                moved = [n._replace(pitch=int(np.clip(n.pitch + shift, 12, 108))) for n in notes]
                (bass.extend(moved) if 32 <= program < 40 else others.append((program, moved)))
        layers = []
        for program, notes in others:
            if program in range(24, 32) and self.chance(0.8):
                layers.append(self.amp_layer(program, notes))
            else:
                layers.append(self.font_play(program, notes))
        zero = np.zeros((self.samples, 2), np.float32)
        return (
            self.drums(drums) if drums else zero,
            self.bass(bass) if bass else zero,
            sum(layers, zero),
        )

    def song(self) -> np.ndarray:
        rng = self.rng
        if self.style == "midi":
            stems = list(self.midi())
        else:
            drums = self.drums()
            stems = [drums, self.bass(), self.other()]
        stems = balance(stems, rng)
        if self.chance(0.45):
            stems = press(stems, rng)
        return whole(stems)


MAKERS = {"song": Maker, "record": Records}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--ingredients", type=Path, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--maker", choices=MAKERS, default="song")
    parser.add_argument("--prefix", help="of the files' names; the maker's name if left out")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    ingredients = replace(find_ingredients(args.ingredients), soundfont=FONTS[0])
    for number in range(args.first, args.first + args.count):
        path = args.out / f"{args.prefix or args.maker}{number:04d}.npy"
        if path.exists():
            continue
        maker = MAKERS[args.maker]((args.seed, number), ingredients, args.seconds)
        try:
            song = maker.song()
        except Exception as error:
            print(number, maker.style, repr(error), flush=True)
            continue
        np.save(path.with_name(f"tmp{path.stem}.npy"), song)
        path.with_name(f"tmp{path.stem}.npy").rename(path)
        print(number, maker.style, flush=True)


if __name__ == "__main__":
    main()
