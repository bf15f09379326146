"""More sampled basses, guitars and drum kits for made-up bands, from public repositories.

    python -m studies.quartet.more_instruments --clones CLONES --ingredients INGREDIENTS

CLONES holds one folder for each repository of `SOURCES`, named like the repository (README.md of
this folder has the commands). Everything is CC0, but for the drum kit of MuldjordKit (CC BY 4.0).
Adds 16-bit files and entries to INGREDIENTS/instruments, a copy of yours: map.json and credits.json
as `unbraid.songs.ingredients` describes them. What is there already stays.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

PITCH = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
NOTE = r"(?P<note>[a-g][b#]?)(?P<octave>\d)"
KARORYFER = "CC0-1.0: Karoryfer Samples (D. Smolken)"
Entry = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """Notes of one instrument.

    Attributes:
        name: of the instrument.
        repository: of github.com.
        family: "bass" or "guitar".
        arts: articulation -> folder and regular expression of file names, which finds note,
            octave, and layer if there are several.
        layers: from soft to loud.
        zero: MIDI pitch of the note "c0".
        credit: licence and people.
    """

    name: str
    repository: str
    family: str
    arts: dict[str, tuple[str, str]]
    layers: tuple[str, ...] = ()
    zero: int = 0
    credit: str = KARORYFER


FOUR = ("vl1", "vl2", "vl3", "vl4")
PASTA = r"_(?P<layer>vl\d)_rr\d\.wav"
SOURCES = (
    Source("growlybass", "sfzinstruments/karoryfer.growlybass", "bass",
           {"sustain": ("sustain", NOTE + r"_(?P<layer>\w+)_rr\d\.wav"),
            "staccato": ("staccato", NOTE + r"_staccato_rr\d\.wav")},
           ("pp", "p", "f", "ff")),
    Source("swagbass", "sfzinstruments/karoryfer.swagbass", "bass",
           {"sustain": ("notes", NOTE + r"_(?P<layer>p|f|fff)_rr\d\.wav")}, ("p", "f", "fff")),
    Source("fashionbass", "sfzinstruments/karoryfer.fashionbass", "bass",
           {"sustain": ("notes", NOTE + r"_(?P<layer>\w+)_rr\d\.wav")},
           ("pp", "p", "mf", "f", "ff"), 12),
    *(Source(name, "sfzinstruments/karoryfer.pastabass", "bass",
             {"sustain": (f"samples/{name}", NOTE + PASTA)}, layers)
      for name, layers in (("fetuccine", FOUR), ("linguine", FOUR[:3]), ("spaghetti", FOUR[:3]),
                           ("tagliatelle", FOUR[:3]))),
    Source("meatbass", "sfzinstruments/karoryfer.meatbass", "bass",
           {"sustain": ("Samples/pizz", NOTE + PASTA)}, FOUR, 12),
    Source("shinyguitar", "sfzinstruments/karoryfer.shinyguitar", "guitar",
           {"sustain": ("Samples/electric", NOTE + r"_(?P<layer>vl\d)_rr\d_2\.wav")}, FOUR, 12),
    Source("shinyguitar-acoustic", "sfzinstruments/karoryfer.shinyguitar", "guitar",
           {"sustain": ("Samples/acoustic", NOTE + r"_(?P<layer>vl\d)_rr\d_1\.wav")}, FOUR, 12),
    Source("emilyguitar", "sfzinstruments/karoryfer.emilyguitar", "guitar",
           {"sustain": ("notes", NOTE + r"_(?P<layer>\w+)_rr\d\.wav")},
           ("p", "mp", "mf", "f"), 12),
    *(Source(f"{name}guitar", "kmturley/karoryfer.black-and-green-guitars", "guitar",
             {"sustain": (f"Samples/{name}/ord", "twang_" + NOTE + r"_(?P<layer>\w+)_rr\d\.wav"),
              "staccato": (f"Samples/{name}/stac", "staccato_" + NOTE + r"_rr\d\.wav")},
             ("p", "mf", "f")) for name in ("black", "green")),
    Source("spanishguitar", "freepats/spanish-classical-guitar", "guitar",
           {"sustain": ("samples", r"(?P<note>[A-G]#?)(?P<octave>\d)\.flac")}, (), 12,
           "CC0-1.0: Spanish classical guitar by roberto@zenvoid.org, FreePats"),
)  # fmt: skip
YR = "freepats/electric-bass-YR"  # twelve notes from E on, without octaves in their names
YR_CREDIT = "CC0-1.0: Finger and Picked Bass YR by Andrea Biasior, FreePats"
MULDJORD = "sfzinstruments/DrumGizmo.MuldjordKit"
GOGODZE = "sfzinstruments/karoryfer.gogodze-phu-vol-ii"
FRANKEN = "sfzinstruments/karoryfer.frankensnare"
SECONDS = {"bass": 5.0, "guitar": 4.0}
DRUMS = {  # folder of MuldjordKit: drum of General MIDI, close microphones, seconds
    "KdrumL": (35, ("KdrumL",), 1.0), "KdrumR": (36, ("KdrumR",), 1.0),
    "Snare": (38, ("Snare_top", "Snare_bottom"), 1.0), "SnareRest": (37, ("Snare_top",), 0.6),
    "HihatClosed": (42, ("Hihat",), 0.6), "HihatOpen": (46, ("Hihat",), 1.8),
    "Tom1": (48, ("Tom1",), 1.6), "Tom2": (47, ("Tom2",), 1.6), "Tom3": (45, ("Tom3",), 1.8),
    "Tom4": (41, ("Tom4",), 2.0), "CrashL": (49, (), 3.5), "CrashR": (57, (), 3.5),
    "China": (52, (), 2.5), "RideR": (51, ("RideR",), 2.5), "RideRBell": (53, ("RideR",), 2.5),
}  # fmt: skip
OWN = {"ks": (36, 0.9, "kick"), "sc": (38, 0.9, "snare"), "ss": (37, 0.6, "snare"),
       "hc": (42, 0.6, None), "ho": (46, 1.8, None), "hf": (44, 0.6, None),
       "th": (48, 1.4, None), "tm": (45, 1.6, None), "tl": (41, 1.8, None)}  # fmt: skip


def read(path: Path, seconds: float) -> tuple[np.ndarray, int]:
    """(samples,) of the first channel, from its start, faded at the end; and its rate."""
    with soundfile.SoundFile(path) as file:
        audio = file.read(int(seconds * file.samplerate), dtype="float32", always_2d=True)[:, 0]
        rate = file.samplerate
    fade = min(len(audio), int(0.1 * rate))
    audio[len(audio) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return audio, rate


def ranges(layers: int) -> list[list[int]]:
    """Velocities from 1 to 127, shared out."""
    edges = np.linspace(1, 128, layers + 1).astype(int)
    return [[int(a), int(b) - 1] for a, b in itertools.pairwise(edges)]


def notes(source: Source, clones: Path, out: Path) -> list[Entry]:
    """Writes an instrument's notes; its entries of map.json."""
    entries = []
    vels = ranges(max(1, len(source.layers)))
    for art, (folder, pattern) in source.arts.items():
        for path in sorted((clones / Path(source.repository).name / folder).iterdir()):
            found = re.fullmatch(pattern, path.name)
            if found is None:
                continue
            parts = found.groupdict()
            layer = source.layers.index(parts["layer"]) if "layer" in parts else None
            name = parts["note"].lower()
            pitch = source.zero + 12 * int(parts["octave"]) + PITCH[name[0]]
            pitch += name[1:].count("#") - name[1:].count("b")
            entries.append(
                note(source.name, source.family, art, path, pitch, out,
                     [1, 127] if layer is None else vels[layer])
            )  # fmt: skip
    if not entries:
        raise SystemExit(f"no notes of {source.name} in {clones}")
    return entries


def note(inst: str, family: str, art: str, path: Path, pitch: int, out: Path, vel) -> Entry:
    """Writes one note."""
    audio, rate = read(path, SECONDS[family])
    file = f"{inst}/{art}_{path.stem.replace('#', 's')}.wav"
    (out / file).parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(out / file, audio, rate, "PCM_16")
    return {"file": file, "inst": inst, "midi": pitch, "art": art, "vel": vel}


def finger_and_pick(clones: Path, out: Path) -> list[Entry]:
    """The two basses of YR."""
    names = ["E", "F", "F#", "G", "G#", "A", "A#", "B", "C", "C#", "D", "D#", "E2"]
    folder = clones / Path(YR).name / "samples"
    return [
        note(f"yr-{kind}", "bass", "sustain", path, 28 + step, out, [1, 127])
        for kind in ("finger", "pick")
        for step, name in enumerate(names)
        if (path := folder / kind / f"{name}.flac").exists()
    ]


def sides(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    count = min(len(left), len(right))
    return np.stack([left[:count], right[:count]], 1)


def blend(direct: np.ndarray | None, room: np.ndarray, share: float) -> np.ndarray:
    """A close microphone, (samples,), and (samples, 2) of what is further away, as loud as that."""
    if direct is None:
        return room
    count = min(len(direct), len(room))
    gain = share * np.abs(direct).max() / max(float(np.abs(room).max()), 1e-4)
    return np.repeat(direct[:count, None], 2, 1) + room[:count] * np.float32(min(gain, 30.0))


def hits(made: list[tuple[float, np.ndarray]], rate, kit, drum, name, out: Path) -> list[Entry]:
    """Writes the hits of one drum, from soft to loud."""
    made = sorted(made, key=lambda hit: hit[0])
    top = max(float(np.abs(audio).max()) for _, audio in made)
    entries = []
    for number, ((_, audio), vel) in enumerate(zip(made, ranges(len(made)), strict=True)):
        file = f"{kit}/{drum}_{name}_{number:02d}.wav"
        (out / file).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(out / file, audio * (0.9 / top), rate, "PCM_16")
        entries.append({"file": file, "gm_note": drum, "vel": vel, "inst": kit})
    return entries


def muldjord(clones: Path, out: Path, kit: str, share: float, room: float) -> list[Entry]:
    """MuldjordKit at one setting of its microphones."""
    top = clones / Path(MULDJORD).name / "DrumGizmo/MuldjordKit/Samples"
    entries = []
    for name, (drum, close, seconds) in DRUMS.items():
        numbers = sorted({int(p.name.split("-")[0]) for p in (top / name).glob("*.flac")})
        made, rate = [], 44_100
        for number in numbers[:: max(1, len(numbers) // 14)]:
            mic = {}
            for place in (*close, "OHL", "OHR", *(("AmbL", "AmbR") if room else ())):
                mic[place], rate = read(top / name / f"{number}-{name}-{place}.flac", seconds)
            far = sides(mic["OHL"], mic["OHR"])
            if room:
                amb = sides(mic["AmbL"], mic["AmbR"])[: len(far)]
                far = far[: len(amb)] + amb * np.float32(room * rms(far) / max(rms(amb), 1e-5))
            direct = sum(mic[place] for place in close) if close else None
            audio = blend(direct, far, share)
            made.append((rms(audio), audio))
        entries += hits(made, rate, kit, drum, name.lower(), out)
    return entries


def gogodze(clones: Path, out: Path, kit: str, far: str, share: float) -> list[Entry]:
    """Gogodze Phu Vol II: kick, snare, toms and hi-hat, in mono."""
    top = clones / Path(GOGODZE).name / "Samples"
    entries = []
    for name, (drum, seconds, close) in OWN.items():
        made, rate = [], 44_100
        for path in sorted((top / f"{far}_mic").glob(f"{name}_*.wav")):
            audio, rate = read(path, seconds)
            audio = sides(audio, audio)
            if close:
                audio = blend(read(top / f"{close}_mic" / path.name, seconds)[0], audio, share)
            made.append((rms(audio), audio))
        entries += hits(made, rate, kit, drum, name, out)
    return entries


def snares(clones: Path, out: Path) -> list[Entry]:
    """Each drum of Frankensnare that is hit with a stick in the usual way."""
    top = clones / Path(FRANKEN).name / "Samples"
    entries = []
    for folder in sorted(top.iterdir()):
        if not folder.name.endswith(("basic", "tight", "lev2")):
            continue
        made, rate = [], 44_100
        for path in sorted((folder / "top").glob("*.flac")):
            audio, rate = read(path, 0.9)
            over, _ = read(folder / "oh" / path.name, 0.9)
            audio = blend(audio, sides(over, over), 0.5)
            made.append((rms(audio), audio))
        entries += hits(made, rate, f"snare-{folder.name}", 38, "snare", out)
    return entries


def whole_kits(pieces: list[Entry], drums: list[Entry]) -> list[Entry]:
    """Kits that have everything: what a kit lacks is taken from another."""
    kits: dict[str, list[Entry]] = {}
    for entry in drums:
        kits.setdefault(entry["inst"], []).append(entry)
    rest = kits["muldjord-close"]
    entries = list(drums)
    for kit, own in kits.items():
        have = {entry["gm_note"] for entry in own}
        entries += [e | {"inst": kit} for e in rest if e["gm_note"] not in have]
    bodies = sorted(kits)
    for number, name in enumerate(sorted({e["inst"] for e in pieces})):
        body = bodies[number % len(bodies)]
        entries += [e for e in pieces if e["inst"] == name]
        entries += [e | {"inst": name} for e in entries if e["inst"] == body and e["gm_note"] != 38]
    return entries


def rms(audio: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(audio))))


def add(path: Path, new: list[Entry]) -> None:
    """Adds entries to a map.json."""
    content = json.loads(path.read_text()) if path.exists() else []
    entries = content["samples"] if isinstance(content, dict) else content
    there = {(entry.get("inst"), entry["file"]) for entry in entries}
    entries += [entry for entry in new if (entry["inst"], entry["file"]) not in there]
    path.write_text(json.dumps(content, indent=1) + "\n")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clones", type=Path, required=True)
    parser.add_argument("--ingredients", type=Path, required=True)
    args = parser.parse_args()
    top, credits = args.ingredients / "instruments", {}
    for source in SOURCES:
        add(top / source.family / "map.json", notes(source, args.clones, top / source.family))
        credits[f"instruments/{source.family}/{source.name}"] = source.credit
        print(source.name, flush=True)
    add(top / "bass" / "map.json", finger_and_pick(args.clones, top / "bass"))
    out = top / "drums"
    kits = [
        *muldjord(args.clones, out, "muldjord-close", 0.25, 0.0),
        *muldjord(args.clones, out, "muldjord-room", 0.8, 1.0),
        *gogodze(args.clones, out, "gogodze-close", "oh", 0.3),
        *gogodze(args.clones, out, "gogodze-retro", "retro", 0.7),
    ]
    pieces = snares(args.clones, out)
    add(out / "map.json", whole_kits(pieces, kits))
    for kit in {entry["file"].split("/")[0] for entry in [*kits, *pieces]}:
        muld = kit.startswith("muldjord")
        credits[f"instruments/drums/{kit}"] = (
            "CC-BY-4.0: MuldjordKit by Lars Muldjord" if muld else KARORYFER
        )
    credits |= {f"instruments/bass/yr-{kind}": YR_CREDIT for kind in ("finger", "pick")}
    path = args.ingredients / "credits.json"
    old = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(old | credits, indent=1) + "\n")


if __name__ == "__main__":
    main()
