"""Made-up songs as tracks that `unbraid train` reads: 16-bit wav files, one for each stem.

    python -m studies.quartet.as_tracks OUT --songs FOLDER

FOLDER has the .npy files of make_songs.py and real_stems.py, (3, samples, 2), or of make_sung.py,
(4, samples, 2), where the rest of the voice is added to "other". Writes
OUT/train/NAME/{drums,bass,other}.wav; a stem that is silent has no file (the recipe has
`data.missing = "silence"`), and tracks that are there stay.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import soundfile

from studies.quartet.batches import RATE, STEMS


def three_stems(song: np.ndarray) -> np.ndarray:
    """(3, samples, 2), int16: the fourth stem is part of the third, all at half of their level."""
    if len(song) == len(STEMS):
        return song
    halves = song // 2
    halves[2] += halves[3]
    return halves[:3]


def write_track(folder: Path, song: np.ndarray) -> None:
    """One folder of a track."""
    made = folder.with_name(f".{folder.name}.part")
    made.mkdir(parents=True, exist_ok=True)
    for name, stem in zip(STEMS, three_stems(song), strict=True):
        if stem.any():
            soundfile.write(made / f"{name}.wav", stem, RATE, "PCM_16")
    made.rename(folder)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--songs", type=Path, required=True)
    args = parser.parse_args()
    for path in sorted(args.songs.glob("*.npy")):
        folder = args.out / "train" / path.stem
        if not folder.exists() and not path.name.startswith("tmp"):
            write_track(folder, np.load(path, mmap_mode="r"))


if __name__ == "__main__":
    main()
