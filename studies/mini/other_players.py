"""Ingredients that the training of `mini` never had: other soundfonts, kits, voices, takes.

What is written lies in one folder, laid out as `unbraid.songs.ingredients` has it:

    instruments/{bass,guitar}/FONT/     notes of General MIDI soundfonts, as samples
    instruments/drums/KIT/              hits of two recorded kits
    voices/NAME/                        vocadito's singers; speech of flite and espeak-ng
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from unbraid.errors import SettingsError
from unbraid.songs import compose, soundfont
from unbraid.songs.effects import RATE
from unbraid.songs.ingredients import Ingredients
from unbraid.songs.notes import Note
from unbraid.songs.song import Song, SongSettings
from unbraid.songs.synth import Sample

FONTS = {
    "musescore": Path("/usr/share/sounds/sf3/MuseScore_General_Lite.sf3"),
    "timgm": Path("/usr/share/sounds/sf2/TimGM6mb.sf2"),
}
KITS = {
    "black_pearl": Path("/usr/share/sounds/sf2/Black_Pearl_4_LV2.sf2"),
    "red_zeppelin": Path("/usr/share/sounds/sf2/Red_Zeppelin_4_LV2.sf2"),
}
FLITE = {"slt": 210, "rms": 95, "awb": 130, "kal16": 110}  # voices, and about how high they speak
ESPEAK = "en-us+f3"
CREDITS = {
    "instruments/bass/musescore": "MIT: MuseScore_General by S. Christian Collins and others",
    "instruments/guitar/musescore": "MIT: MuseScore_General by S. Christian Collins and others",
    "instruments/bass/timgm": "GPL-2: TimGM6mb by Tim Brechbill, to measure with only",
    "instruments/guitar/timgm": "GPL-2: TimGM6mb by Tim Brechbill, to measure with only",
    "instruments/drums": "CC-BY-SA-3.0: AVL drumkits by Glen MacArthur, to measure with only",
    "voices/vocadito": "CC-BY-4.0: vocadito",
    "voices/flite": "CMU licence: voices of flite, Carnegie Mellon University",
    "voices/espeak": "espeak-ng, a formant synthesizer",
}
SPOKEN = (
    "Shall I compare thee to a summer's day? Thou art more lovely and more temperate. "
    "Rough winds do shake the darling buds of May, and summer's lease hath all too short a date. "
    "Sometime too hot the eye of heaven shines, and often is his gold complexion dimmed, "
    "and every fair from fair sometime declines, by chance, or nature's changing course, "
    "untrimmed. But thy eternal summer shall not fade, nor lose possession of that fair thou "
    "owest, nor shall death brag thou wanderest in his shade, when in eternal lines to time thou "
    "growest. So long as men can breathe, or eyes can see, so long lives this, and this gives "
    "life to thee."
)
"""Shakespeare, sonnet 18."""

DRUM_NOTES = (35, 36, 37, 38, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 51, 53, 57, 59)
DRUM_VELOCITIES = (30, 60, 90, 120)
BASS_PROGRAMS, GUITAR_PROGRAMS = (33, 34, 35, 36), (25, 26, 27)


@dataclass(frozen=True)
class OtherPlayers(Ingredients):
    """What one song of the test set is made from.

    Attributes:
        data: the folder that training took its MIDI from.
        font: whose basses and guitars are played, as is everything by `soundfont`.
        kit_name: whose drums are played.
        voice: folder of the one voice that sings.
        heard: names of the MIDI pieces that training has used.
    """

    data: Path = Path()
    font: str = ""
    kit_name: str = ""
    voice: str = ""
    heard: frozenset[str] = frozenset()

    @cached_property
    def basses(self) -> dict[str, dict[str, list[Sample]]]:
        return self._of_font(super().basses)

    @cached_property
    def guitars(self) -> dict[str, dict[str, list[Sample]]]:
        return self._of_font(super().guitars)

    @cached_property
    def kits(self) -> dict[str, list[Sample]]:
        hits = [sample for kit in super().kits.values() for sample in kit]
        return {"kit": [sample for sample in hits if sample.path.parent.name == self.kit_name]}

    @cached_property
    def performances(self) -> list[tuple[float, str]]:
        """Takes of Groove MIDI's own test split."""
        return compose.groove_performances(self.data / "midi" / "groove", ("test",))

    @cached_property
    def pieces(self) -> list[Path]:
        found = sorted((self.data / "midi" / "freedoom").glob("*.mid"))
        return [path for path in found if path.name not in self.heard]

    @cached_property
    def voices(self) -> dict[str, list[dict[str, Any]]]:
        return {self.voice: super().voices[self.voice]}

    def soundfont_credit(self) -> str:
        return CREDITS[f"instruments/bass/{self.font}"]

    def _of_font(
        self, there: dict[str, dict[str, list[Sample]]]
    ) -> dict[str, dict[str, list[Sample]]]:
        return {name: notes for name, notes in there.items() if name.startswith(self.font)}


def pieces_heard(ingredients: Ingredients, seed: int, songs: int) -> frozenset[str]:
    """Names of the MIDI pieces in the made-up songs that training had.

    Which piece a song plays is drawn before anything sounds, so that the songs' beginnings are
    enough: the same draws as in `unbraid.songs.other_parts`, and make_data.py's seeds.
    """
    heard = set()
    for number in range(songs):
        song = Song((seed, number), ingredients, SongSettings())
        if song.kind != "midi":
            continue
        for path in song.rng.permutation([str(path) for path in ingredients.pieces]):
            heard.add(Path(path).name)  # one that was looked at and not taken counts, too
            parts = compose.midi_parts(str(path)).values()
            end = max((note.start for notes in parts for note in notes), default=0)
            if end > 45 and sum(map(len, parts)) > 300:
                break
    return frozenset(heard)


def write_ingredients(folder: Path, data: Path) -> None:
    """Sample the soundfonts and let the voices speak; what is there is kept.

    Raises:
        SettingsError: if a soundfont or a program is missing; says what to install.
    """
    if (folder / "credits.json").exists():
        return
    _check_machine()
    _write_notes(folder / "instruments" / "bass", BASS_PROGRAMS, range(28, 62, 3))
    _write_notes(folder / "instruments" / "guitar", GUITAR_PROGRAMS, range(40, 86, 3))
    _write_kits(folder / "instruments" / "drums")
    _write_voices(folder / "voices", data / "voices")
    credits = {**CREDITS}
    for entry in json.loads((folder / "voices" / "voices.json").read_text()):
        name = entry["file"].split("/")[0]
        credits[f"voices/{name}"] = CREDITS[f"voices/{name.split('_')[0]}"]
    (folder / "credits.json").write_text(json.dumps(credits, indent=1) + "\n")


def _check_machine() -> None:
    lacking = [str(path) for path in (*FONTS.values(), *KITS.values()) if not path.exists()]
    lacking += [name for name in ("fluidsynth", "flite", "espeak-ng") if not shutil.which(name)]
    if lacking:
        raise SettingsError(
            f"{', '.join(lacking)} missing; on Debian: apt install fluidsynth flite espeak-ng "
            "musescore-general-soundfont-small timgm6mb-soundfont avldrums.lv2-soundfont"
        )


def _write_notes(folder: Path, programs: tuple[int, ...], pitches: range) -> None:
    entries = []
    for font, path in FONTS.items():
        (folder / font).mkdir(parents=True, exist_ok=True)
        for program in programs:
            notes = [Note(4.0 * i, 3.0, pitch, 100) for i, pitch in enumerate(pitches)]
            played = soundfont.play(path, [(program, notes)], int(4 * RATE * len(notes)))
            played *= 0.9 / np.abs(played).max()
            for i, pitch in enumerate(pitches):
                name = f"{font}/{program}_{pitch}.wav"
                start = int(4 * RATE * i)
                soundfile.write(folder / name, played[start : start + int(3.2 * RATE)], RATE)
                entries.append({"file": name, "inst": f"{font}_{program}", "midi": pitch})
    (folder / "map.json").write_text(json.dumps(entries, indent=1) + "\n")


def _write_kits(folder: Path) -> None:
    entries = []
    for kit, path in KITS.items():
        (folder / kit).mkdir(parents=True, exist_ok=True)
        hits = [(note, velocity) for note in DRUM_NOTES for velocity in DRUM_VELOCITIES]
        notes = [Note(2.5 * i, 2.4, note, velocity) for i, (note, velocity) in enumerate(hits)]
        played = soundfont.play(path, [(0, notes)], int(2.5 * RATE * len(hits)))
        played *= 0.9 / np.abs(played).max()
        for i, (note, velocity) in enumerate(hits):
            hit = played[int(2.5 * RATE * i) :][: int(2.4 * RATE)]
            if np.abs(hit).max() < 1e-3:
                continue  # the kit has no such drum
            name = f"{kit}/{note}_{velocity}.wav"
            soundfile.write(folder / name, hit, RATE)
            velocities = [velocity - 15, velocity + 14]
            entries.append({"file": name, "gm_note": note, "vel": velocities})
    (folder / "map.json").write_text(json.dumps({"samples": entries}, indent=1) + "\n")


def _write_voices(folder: Path, theirs: Path) -> None:
    entries: list[dict[str, Any]] = []
    for entry in json.loads((theirs / "voices.json").read_text()):
        if entry["file"].startswith("vocadito/"):
            file = f"{entry['speaker']}/{Path(entry['file']).name}"
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(theirs / entry["file"], folder / file)
            entries.append({**entry, "file": file})
    speakers = [(f"flite_{name}", ["flite", "-voice", name], "-o") for name in FLITE]
    for name, command, to in (*speakers, ("espeak", ["espeak-ng", "-v", ESPEAK], "-w")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        path = folder / name / "sonnet.wav"
        text = ["-t", SPOKEN] if name != "espeak" else [SPOKEN]
        subprocess.run([*command, *text, to, str(path)], check=True, capture_output=True)
        facts = {"speaker": name, "kind": "spoken", "dur": soundfile.info(path).duration}
        pitch = FLITE.get(name.partition("_")[2], 200)
        entries.append({"file": f"{name}/sonnet.wav", **facts, "f0_median": pitch})
    (folder / "voices.json").write_text(json.dumps(entries, indent=1) + "\n")
