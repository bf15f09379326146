"""Sets at 11 025 Hz for the lower part of `mini`: what `unbraid train mini-low` was given.

    unbraid data songs SET27 --ingredients INGREDIENTS --songs 320 --valid 0 --seed 27
        --seconds 60,85 --low-end 0.3 --choirs 0.15 --format wav
    unbraid data songs SET28 --ingredients INGREDIENTS --songs 420 --valid 0 --seed 28
        --seconds 40,46 --low-end 0.25 --choirs 0.15 --format wav --no-recorded
    python scripts/mini/low_sets.py OUT --songs SET27 --songs SET28 --ingredients INGREDIENTS
        --guitars fretsonfire-songs-sectoid

INGREDIENTS is what more_instruments.py makes of shared/data, without vocadito and the two MIDI
pieces of the test songs; the folder of guitars is the Debian package of that name, unpacked
(`dpkg -x`): four songs by Carlos Viola Iborra (MIT), whose guitars are files of their own.

    OUT/made     songs of the sets          OUT/lowline  basses of recorded synthesizers
    OUT/low      low ends of the sets       OUT/real     recorded songs; Potassium is in valid/
    OUT/punch    200 low ends, mostly of basses whose notes begin as kicks do
    OUT/guitar   a minute of guitar at a time, as "other", over the drums of a made-up song

Same seed, same sounds; tracks that are there already stay, but for guitars, which take a moment.
Train with data.missing="silence".
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import soundfile
import soxr

from unbraid.songs.effects import RATE
from unbraid.songs.ingredients import find_ingredients
from unbraid.songs.multitracks import find_multitracks, fitted, multitrack_stems
from unbraid.songs.song import STEMS, Line, SongSettings, make_low_end

LOW_HZ = 11025
PUNCHES, PUNCH_SEED = 200, 77
PUNCH_LINES: tuple[Line, ...] = ("punch", "punch", "punch", "loose", "pattern")
MINUTE_S, LEAST_S, GUITAR_GAIN = 60, 20, 0.7
BLOCK, AUDIBLE, LEAST_SHARE = RATE // 2, 3e-3, 0.2  # of a minute of guitar, that it is taken


def write(folder: Path, stems: Mapping[str, np.ndarray]) -> None:
    """Stems (samples, 2) at 44.1 kHz, brought to the low rate."""
    folder.mkdir(parents=True, exist_ok=True)
    for stem, audio in stems.items():
        low = soxr.resample(audio, RATE, LOW_HZ, "HQ")
        soundfile.write(folder / f"{stem}.wav", np.clip(low, -1, 1), LOW_HZ, subtype="PCM_16")


def convert(source: Path, out: Path) -> None:
    """A track of an ordinary dataset."""
    if out.exists():
        return
    stems = {}
    for stem in STEMS:
        stems[stem], rate = soundfile.read(source / f"{stem}.wav", dtype="float32", always_2d=True)
        if rate != RATE:
            raise SystemExit(f"{source}: {RATE} Hz are wanted, got {rate}")
    write(out, stems)


def punch(number: int, ingredients: Path, out: Path) -> None:
    """Drums and a deep bass."""
    line = PUNCH_LINES[number % len(PUNCH_LINES)]
    folder = out / "punch/train" / f"p-{number:03d}-{line}"
    if not folder.exists():
        settings = SongSettings(seconds=(50, 60))
        there = find_ingredients(ingredients)
        write(folder, make_low_end((PUNCH_SEED, number), there, settings, line=line)[0])


def recorded(ingredients: Path, out: Path) -> None:
    """All recorded songs: at this rate one without treble is as good as any."""
    for song in find_multitracks(ingredients / "songs"):
        folder = out / "real" / ("valid" if song.is_valid else "train") / f"recorded-{song.title}"
        if not folder.exists():
            write(folder, fitted(multitrack_stems(song, basses_apart=not song.is_valid)))


def guitars(package: Path, out: Path, seed: int = 1) -> None:
    """Minutes of guitar, each over the drums of some song of OUT/made."""
    rng = np.random.default_rng(seed)
    drums = sorted((out / "made/train").glob("*/drums.wav"))
    number = 0
    for path in sorted(package.rglob("guitar.ogg")):
        for minute in _minutes(path):
            below, _ = soundfile.read(drums[rng.integers(len(drums))], dtype="float32")
            below = soxr.resample(below, LOW_HZ, RATE, "HQ")
            samples = min(len(below), len(minute))
            stems = {"other": minute[:samples] * GUITAR_GAIN, "drums": below[:samples]}
            write(out / "guitar/train" / f"guitar-{number:02d}", stems)
            number += 1


def _minutes(path: Path) -> Iterator[np.ndarray]:
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    if rate != RATE:
        raise SystemExit(f"{path}: {RATE} Hz are wanted, got {rate}")
    for start in range(0, len(audio) - LEAST_S * RATE, MINUTE_S * RATE):
        minute = audio[start : start + MINUTE_S * RATE]
        blocks = minute[: len(minute) // BLOCK * BLOCK].reshape(-1, BLOCK, 2)
        if np.mean(np.sqrt(np.square(blocks).mean((1, 2))) > AUDIBLE) >= LEAST_SHARE:
            yield minute


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--songs", type=Path, action="append", required=True)
    parser.add_argument("--ingredients", type=Path, required=True)
    parser.add_argument("--guitars", type=Path, help="a package of songs, unpacked")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    sources, places = [], []
    for root in args.songs:
        for track in sorted((root / "train").iterdir()):
            facts = json.loads((track / "track.json").read_text())
            kind = "lowline" if track.name.startswith("lowline") else "made"
            kind = "low" if facts.get("style") == "low end" else kind
            if facts.get("kind") == "made up" or kind == "lowline":
                sources.append(track)
                places.append(args.out / kind / "train" / f"{root.name}-{track.name}")
    with ProcessPoolExecutor(args.workers) as pool:
        list(pool.map(convert, sources, places, chunksize=4))
        rest = [args.ingredients] * PUNCHES, [args.out] * PUNCHES
        list(pool.map(punch, range(PUNCHES), *rest, chunksize=2))
    recorded(args.ingredients, args.out)
    if args.guitars:
        guitars(args.guitars, args.out)


if __name__ == "__main__":
    main()
