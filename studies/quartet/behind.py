"""Songs to measure by, as the first link leaves them: stems and its error, .npz files.

    python -m studies.quartet.behind OUT --songs FOLDER

`stems` is (4, 2, samples): drums, bass, other, and vocals minus the vocals that `quartet-vocals`
finds; they add up to what the second link gets. `power` has the energy of the four true stems.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import unbraid
from studies.quartet.measure import RATE, STEMS, read_song


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--songs", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    lead = unbraid.Separator(model="quartet-vocals")
    for folder in sorted(path for path in args.songs.iterdir() if path.is_dir()):
        found = read_song(folder)
        silence = np.zeros_like(next(iter(found.values())))
        stems = np.stack([found.get(stem, silence) for stem in STEMS]).transpose(0, 2, 1)
        power = np.square(stems).sum((1, 2))
        mixture = np.ascontiguousarray(stems.sum(0), np.float32)
        stems[3] -= lead.separate(mixture, RATE)["vocals"]
        np.savez(args.out / f"{folder.name}.npz", stems=stems.astype(np.float32), power=power)


if __name__ == "__main__":
    main()
