"""The tiny set of ingredients that ships with `unbraid data songs`: src/unbraid/songs/tiny.

    python scripts/make_tiny_ingredients.py --data INGREDIENTS

Takes CC0 and public-domain items only, cuts and encodes them small; the drum hits are made by our
own drum machine. Run once; what it wrote is in the repository.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import soundfile
import soxr

from unbraid.songs.effects import RATE
from unbraid.songs.synth import machine_kit

OUT = Path(__file__).parents[1] / "src" / "unbraid" / "data" / "songs" / "tiny"
BASS = (28, 33, 38, 43, 48)
GUITAR = (43, 50, 55, 62, 69)
HITS = {36: "kick", 38: "snare", 42: "closed hat", 46: "open hat", 41: "tom", 49: "crash"}
READERS = ("reader_01", "reader_05", "reader_09")
ORKS = 4

CREDITS = {
    "instruments/bass": "CC0-1.0: Karoryfer Swagbass",
    "instruments/guitar": "CC0-1.0: Karoryfer Black And Green Guitars",
    "instruments/drums": "CC0-1.0: unbraid, made by its own drum machine",
    "voices/librivox": "Public domain: LibriVox",
    "voices/merry_orks": "CC0-1.0: Karoryfer 272 Merry Orks",
}


def write(path, audio, rate, target):
    path.parent.mkdir(parents=True, exist_ok=True)
    mono = soxr.resample(audio, rate, target, quality="VHQ")
    fade = min(len(mono), target // 50)
    mono[-fade:] *= np.linspace(1, 0, fade)
    soundfile.write(path, mono, target, format="OGG", subtype="VORBIS", compression_level=0.8)


def notes(data, family, instrument, pitches, seconds):
    folder = data / "instruments" / family
    entries = json.loads((folder / "map.json").read_text())
    kept = []
    for pitch in pitches:
        entry = min(
            (e for e in entries if e["inst"] == instrument and e["art"] == "sustain"),
            key=lambda e: (abs(e["midi"] - pitch), abs(sum(e["vel"]) / 2 - 80)),
        )
        audio, rate = soundfile.read(folder / entry["file"], always_2d=True)
        name = f"{entry['midi']}.ogg"
        write(
            OUT / "instruments" / family / name, audio.mean(1)[: int(seconds * rate)], rate, 22050
        )
        kept.append({"file": name, "inst": instrument, "midi": entry["midi"], "art": "sustain"})
    (OUT / "instruments" / family / "map.json").write_text(json.dumps(kept, indent=1) + "\n")


def hits():
    kit = machine_kit(np.random.default_rng(5))
    kept = []
    for note, name in HITS.items():
        audio = kit(note, 0.1, 120).mean(axis=1)
        path = OUT / "instruments" / "drums" / f"{note}.ogg"
        loud = np.flatnonzero(np.abs(audio) > 1e-3)
        write(path, audio[: loud[-1] + 1], RATE, 32000)
        kept.append({"file": path.name, "gm_note": note, "name": name})
    text = json.dumps({"samples": kept}, indent=1) + "\n"
    (OUT / "instruments" / "drums" / "map.json").write_text(text)


def voices(data):
    entries = json.loads((data / "voices" / "voices.json").read_text())
    kept = []
    for reader in READERS:
        entry = next(e for e in entries if e["speaker"] == reader and e["dur"] > 40)
        audio, rate = soundfile.read(data / "voices" / entry["file"], always_2d=True)
        piece = audio.mean(1)[20 * rate : 29 * rate]  # beyond the announcement
        name = f"librivox/{reader}.ogg"
        write(OUT / "voices" / name, piece / np.abs(piece).max() * 0.7, rate, 22050)
        kept.append({**entry, "file": name, "sr": 22050, "dur": 9.0})
    orks = [e for e in entries if "/vowels/" in e["file"] or "/dipthongs/" in e["file"]]
    for entry in orks[:: len(orks) // ORKS][:ORKS]:
        audio, rate = soundfile.read(data / "voices" / entry["file"], always_2d=True)
        name = f"merry_orks/{Path(entry['file']).stem}.ogg"
        write(OUT / "voices" / name, audio.mean(1)[: int(1.5 * rate)], rate, 22050)
        kept.append({**entry, "file": name, "sr": 22050, "dur": min(1.5, entry["dur"])})
    (OUT / "voices" / "voices.json").write_text(json.dumps(kept, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder shared/data")
    data = parser.parse_args().data
    notes(data, "bass", "swag", BASS, 1.6)
    notes(data, "guitar", "black", GUITAR, 1.6)
    hits()
    voices(data)
    (OUT / "credits.json").write_text(json.dumps(CREDITS, indent=1) + "\n")


if __name__ == "__main__":
    main()
