"""nSDR of the best weights of runs, such as those of a grid, on a recorded song and made-up ones.

    python -m studies.ablations.score_runs --data ../mini-cut RUN...

`--data` is laid out as what make_test.py writes (valid/SONG/STEM.wav and test/SONG/STEM.wav), best
with excerpts of it: small models are no faster than others. Each RUN is a folder of
`unbraid train`. Prints a table: means over tracks, through `Separator` with default settings.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import unbraid
from studies.mini.measure import RATE, STEMS, read_track
from unbraid.errors import UnbraidError
from unbraid.evaluation.metrics import nsdr


def scores(run: Path, tracks: list[np.ndarray]) -> list[float]:
    """nSDR in dB of each stem; a mean over the tracks in which the stem sounds."""
    separator = unbraid.Separator(model=str(run / "checkpoints" / "best.safetensors"))
    table = np.full((len(tracks), len(STEMS)), np.nan)
    for row, sources in zip(table, tracks, strict=True):
        stems = separator.separate(sources.sum(0), RATE)
        estimates = np.stack([np.asarray(stems[stem]) for stem in STEMS])
        there = [bool(source.any()) for source in sources]
        row[there] = nsdr(sources, estimates)[there]
    return [float(value) for value in np.nanmean(table, axis=0)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    args = parser.parse_args()
    tracks = {
        split: [read_track(folder) for folder in sorted((args.data / split).glob("*"))]
        for split in ("valid", "test")
    }
    heads = [f"{split} {stem}" for split in tracks for stem in (*STEMS, "mean")]
    print("| run | " + " | ".join(heads) + " |\n|---|" + "---|" * len(heads), flush=True)
    for run in args.runs:
        cells = []
        for of_split in tracks.values():
            found = scores(run, of_split)
            cells += [f"{value:.2f}" for value in (*found, float(np.mean(found)))]
        print(f"| {run.name} | " + " | ".join(cells).replace("-", "−") + " |", flush=True)


if __name__ == "__main__":
    try:
        main()
    except UnbraidError as error:
        sys.exit(f"error: {error}")
