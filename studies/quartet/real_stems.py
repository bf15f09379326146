"""Recorded stems and voices for the drums-bass-other network, as int16 .npy files.

    python -m studies.quartet.real_stems --data DATA --sectoid FOLDER --out OUT

DATA is a folder of ingredients (see `unbraid.songs.ingredients`) with recorded songs and voices;
FOLDER is `songs/sectoid` of Debian's fretsonfire-songs-sectoid: four songs (MIT, Carlos Viola
Iborra) with the guitar apart. Writes OUT/stems/*.npy (3, samples, 2), 40 s each, and
OUT/voices/*.npy (samples, 2). Songs for validation and songs without treble are left out.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import soundfile
import soxr

from unbraid.songs.multitracks import find_multitracks, multitrack_stems

RATE, PIECE = 44_100, 40 * 44_100
VOICES = ("vocadito", "merry_orks", "librivox", "vctk")


def read(path: Path) -> np.ndarray:
    """(samples, 2) at 44.1 kHz."""
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    audio = audio if rate == RATE else soxr.resample(audio, rate, RATE)
    return np.repeat(audio[:, :1], 2, axis=1) if audio.shape[1] == 1 else audio


def write_pieces(folder: Path, name: str, stems: np.ndarray) -> None:
    """(3, samples, 2) in pieces of 40 s, the last at least 20 s long; silent ones are left out."""
    scaled = (stems * (32_000 / np.abs(stems).max())).astype(np.int16)
    for start in range(0, scaled.shape[1] - PIECE // 2, PIECE):
        piece = scaled[:, start : start + PIECE]
        if np.abs(piece).max() > 600:
            np.save(folder / f"{name}_{start // RATE:04d}.npy", piece)


def write_stems(folder: Path, data: Path, sectoid: Path) -> None:
    """Recorded songs for training, and guitars as "other" over silence."""
    for song in find_multitracks(data / "songs"):
        if not (song.is_valid or song.is_dull):
            stems = multitrack_stems(song, basses_apart=True)
            write_pieces(
                folder, song.title, np.stack([stems[s] for s in ("drums", "bass", "other")])
            )
    for path in sorted(sectoid.glob("*/guitar.ogg")):
        guitar = read(path)
        silence = np.zeros_like(guitar)
        name = path.parent.name.replace(" ", "_")
        write_pieces(folder, name, np.stack([silence, silence, guitar]))


def write_voices(folder: Path, data: Path) -> None:
    """Speech, singing and the recorded songs' vocals where they sound."""
    rng = np.random.default_rng(0)
    found: dict[str, np.ndarray] = {}
    for entry in json.loads((data / "voices" / "voices.json").read_text()):
        kind = entry["file"].split("/")[0]
        if kind not in VOICES or (kind == "librivox" and rng.random() > 0.25):
            continue
        found[f"{kind}_{Path(entry['file']).stem}"] = read(data / "voices" / entry["file"])
    others = [data / "voice_crazy" / "antagata_dokosa.flac"]
    for path in [*others, *sorted((data / "berklee").glob("voice_*/*.mp3"))]:
        found[path.stem] = read(path)
    for song in find_multitracks(data / "songs"):
        if not (song.is_valid or song.is_dull):
            vocals = multitrack_stems(song)["vocals"]
            seconds = vocals[: len(vocals) // RATE * RATE].reshape(-1, RATE, 2)
            loud = np.sqrt(np.square(seconds).mean((1, 2))) > 0.005
            found[song.title] = seconds[loud].reshape(-1, 2)
    for name, audio in found.items():
        if len(audio) > 4 * RATE:
            loudest = max(float(np.abs(audio).max()), 1e-4)
            np.save(
                folder / f"{name}.npy", (audio[: 60 * RATE] * (32_000 / loudest)).astype(np.int16)
            )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sectoid", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    for name in ("stems", "voices"):
        (args.out / name).mkdir(parents=True, exist_ok=True)
    write_stems(args.out / "stems", args.data, args.sectoid)
    write_voices(args.out / "voices", args.data)


if __name__ == "__main__":
    main()
