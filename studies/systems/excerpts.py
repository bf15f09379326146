"""Short excerpts of a folder of songs, to score many models in little time.

    python -m studies.systems.excerpts SONGS OUT --seconds 5

SONGS/TRACK/STEM.SUFFIX becomes OUT/test/TRACK/STEM.wav, float32: the middle of each song.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import soundfile

STEMS = ("drums", "bass", "other", "vocals")


def cut_song(folder: Path, out: Path, seconds: float) -> None:
    """Write the middle of every stem that a song has."""
    files = {p.stem: p for p in folder.iterdir() if p.stem in STEMS}
    samples = min(soundfile.info(path).frames for path in files.values())
    for stem, path in files.items():
        rate = soundfile.info(path).samplerate
        length = min(samples, int(seconds * rate))
        start = (samples - length) // 2
        sound, _ = soundfile.read(path, start=start, frames=length, always_2d=True, dtype="float32")
        out.mkdir(parents=True, exist_ok=True)
        soundfile.write(out / f"{stem}.wav", sound, rate, subtype="FLOAT")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("songs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=5.0)
    args = parser.parse_args()
    for folder in sorted(path for path in args.songs.iterdir() if path.is_dir()):
        cut_song(folder, args.out / "test" / folder.name, args.seconds)


if __name__ == "__main__":
    main()
