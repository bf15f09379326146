"""The folder that songs are made from: instruments, notes, voices and recorded songs.

    instruments/bass/map.json      notes: file, inst, midi, art (sustain, staccato), vel
    instruments/guitar/map.json    likewise
    instruments/drums/map.json     {"samples": hits: file, gm_note, vel, and inst, if many kits}
    midi/groove/                   the Groove MIDI dataset, with its info.csv
    midi/*/*.mid                   pieces for a whole band
    voices/voices.json             file, speaker, kind (sung, spoken), dur, f0_median
    songs/songs.json               recorded songs, see multitracks.py
    credits.json                   {"instruments/bass": "CC0-1.0: who", ...}: licence and credit

Any part may be missing. A tiny set with a little of each ships with the package.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from unbraid.audio.container import shown
from unbraid.errors import SettingsError
from unbraid.songs.compose import groove_performances
from unbraid.songs.soundfont import KNOWN, find_soundfont
from unbraid.songs.synth import Sample
from unbraid.songs.voices import can_sing

Side = Literal["train", "valid"]

_KNOWN = {
    "instruments/drums/muldjord": "CC-BY-4.0: MuldjordKit",
    "instruments/bass/swag": "CC0-1.0: Karoryfer Growlybass and Swagbass",
    "instruments/bass/growly": "CC0-1.0: Karoryfer Growlybass and Swagbass",
    "instruments/guitar/black": "CC0-1.0: Karoryfer Black And Green Guitars",
    "instruments/guitar/green": "CC0-1.0: Karoryfer Black And Green Guitars",
    "midi/groove": "CC-BY-4.0: Groove MIDI Dataset",
    "midi/freedoom": "BSD-3-Clause: Freedoom music",
    "voices/librivox": "Public domain: LibriVox",
    "voices/vctk": "CC-BY-4.0: CSTR VCTK Corpus",
    "voices/vocadito": "CC-BY-4.0: vocadito",
    "voices/merry_orks": "CC0-1.0: Karoryfer 272 Merry Orks",
}
_VALID_SHARE = 8  # one of this many speakers and pieces is kept for validation
VOICE_SHARES = {"librivox": 0.76, "vctk": 0.1, "vocadito": 0.1, "merry_orks": 0.04}
"""How often voices of a known folder are taken, if all are there; any other folder: 0.1."""


@dataclass(frozen=True)
class Ingredients:
    """What there is to make songs from.

    Attributes:
        folder: laid out as above.
        side: "train" and "valid" have different speakers, drummers' takes and pieces; None has all.
        soundfont: its file, to be played by fluidsynth; None for none.
        sing: whether speech may be turned to song (pyworld).
    """

    folder: Path
    side: Side | None = None
    soundfont: Path | None = None
    sing: bool = False

    @cached_property
    def basses(self) -> dict[str, dict[str, list[Sample]]]:
        """Instrument -> articulation -> notes; the instrument with the most notes first."""
        return self._instruments("bass")

    @cached_property
    def guitars(self) -> dict[str, dict[str, list[Sample]]]:
        """As `basses`."""
        return self._instruments("guitar")

    @cached_property
    def kits(self) -> dict[str, list[Sample]]:
        """Hits of each drum kit."""
        folder = self.folder / "instruments" / "drums"
        content = _json(folder / "map.json", [])
        kits: dict[str, list[Sample]] = {}
        for entry in content["samples"] if isinstance(content, dict) else content:
            kits.setdefault(entry.get("inst", "drums"), []).append(
                _sample(folder, entry, "gm_note")
            )
        return kits

    @cached_property
    def performances(self) -> list[tuple[float, str]]:
        """Tempo and file of drummers' performances in 4/4."""
        folder = self.folder / "midi" / "groove"
        if not (folder / "info.csv").exists():
            return []
        splits = ("validation",) if self.side == "valid" else ("train",)
        try:
            return groove_performances(folder, splits)
        except (OSError, KeyError, ValueError) as error:
            raise SettingsError(f"{shown(folder / 'info.csv')} cannot be read: {error}") from error

    @cached_property
    def pieces(self) -> list[Path]:
        """MIDI files for a whole band."""
        found = sorted(self.folder.glob("midi/*/*.mid"))
        found = [path for path in found if path.parent.name != "groove"]
        chosen = self._of_side(path.stem for path in found)
        return [path for path in found if path.stem in chosen]

    @cached_property
    def voices(self) -> dict[str, list[dict[str, Any]]]:
        """Entries of voices.json by the folder that their files lie in; known folders first."""
        entries: list[dict[str, Any]] = _json(self.folder / "voices" / "voices.json", [])
        there: dict[str, list[dict[str, Any]]] = {}
        for entry in entries:
            for name in ("file", "speaker", "kind", "dur"):
                if name not in entry:
                    path = self.folder / "voices" / "voices.json"
                    raise SettingsError(f"{shown(path)} has an entry without {name!r}: {entry}")
            there.setdefault(entry["file"].split("/")[0], []).append(entry)
        chosen = {}
        for name, of in there.items():
            speakers = self._of_side(entry["speaker"] for entry in of)
            chosen[name] = [entry for entry in of if entry["speaker"] in speakers]
        # A choir's chord is not a phrase.
        order = [*(n for n in VOICE_SHARES if n in chosen), *(n for n in chosen if n != "choir")]
        return {name: chosen[name] for name in dict.fromkeys(order)}

    @cached_property
    def credits(self) -> dict[str, str]:
        """Licence and credit by path below the folder."""
        return {**_KNOWN, **_json(self.folder / "credits.json", {})}

    def credit(self, place: str) -> str:
        """Licence and credit of what lies at a path below the folder, or at one above that."""
        steps = place.split("/")
        for count in range(len(steps), 0, -1):
            if (found := self.credits.get("/".join(steps[:count]))) is not None:
                return found
        return f"licence not known: {place} of {self.folder.name}"

    def soundfont_credit(self) -> str:
        """Licence and credit of the soundfont."""
        assert self.soundfont is not None
        name = self.soundfont.name
        return KNOWN.get(name, f"licence not known: soundfont {name}")

    def fingerprint(self) -> str:
        """Eight characters that change with what is there, so that a set is made from one."""
        parts: list[Any] = [self.sing, self.soundfont.name if self.soundfont else None]
        for name in ("instruments", "midi", "voices", "songs"):
            for path in sorted((self.folder / name).rglob("*")):
                if path.is_file():
                    parts.append([path.relative_to(self.folder).as_posix(), path.stat().st_size])
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]

    def lacking(self) -> list[str]:
        """What songs have to do without, in a few words each."""
        lacks = {
            "soundfonts (fluidsynth and fluid-soundfont-gm)": self.soundfont,
            "speech turned to song (pip install pyworld)": self.sing,
            "sampled basses": self.basses,
            "sampled guitars": self.guitars,
            "a sampled drum kit": self.kits,
            "drummers' performances": self.performances,
            "MIDI pieces": self.pieces,
            "voices": self.voices,
        }
        return [name for name, there in lacks.items() if not there]

    def _instruments(self, family: str) -> dict[str, dict[str, list[Sample]]]:
        folder = self.folder / "instruments" / family
        there: dict[str, dict[str, list[Sample]]] = {}
        for entry in _json(folder / "map.json", []):
            notes = there.setdefault(entry.get("inst", family), {})
            notes.setdefault(entry.get("art", "sustain"), []).append(_sample(folder, entry, "midi"))
        # Instruments without held notes are not played.
        held = sorted(
            (-len(notes["sustain"]), n) for n, notes in there.items() if "sustain" in notes
        )
        return {name: there[name] for _, name in held}

    def _of_side(self, names: Iterable[str]) -> set[str]:
        """Those of some speakers or pieces that belong to this side; a lone one serves both."""
        there = sorted(set(names), key=lambda name: hashlib.sha256(name.encode()).digest())
        if self.side is None or len(there) < 2:
            return set(there)
        valid = max(1, len(there) // _VALID_SHARE)
        return set(there[:valid] if self.side == "valid" else there[valid:])


def find_ingredients(folder: Path | None = None, soundfont: Path | None = None) -> Ingredients:
    """What is there: in the folder, or the tiny set that ships; on this machine; in this Python.

    Args:
        folder: laid out as this module says; None takes the tiny set.
        soundfont: None takes the first known one.
    Raises:
        SettingsError: if the folder or the soundfont is not there, or holds nothing known.
    """
    if soundfont is not None and not soundfont.is_file():
        raise SettingsError(f"there is no soundfont {shown(soundfont)}")
    if soundfont is not None and shutil.which("fluidsynth") is None:
        raise SettingsError("a soundfont needs the program fluidsynth (Debian: fluidsynth)")
    top = tiny_folder() if folder is None else folder.absolute()
    if not top.is_dir():
        raise SettingsError(f"there is no folder of ingredients {shown(top)}")
    if not any((top / name).is_dir() for name in ("instruments", "midi", "voices", "songs")):
        raise SettingsError(
            f"{shown(top)} holds none of instruments/, midi/, voices/ and songs/; see docs/data.md"
        )
    return Ingredients(top, None, soundfont or find_soundfont(), can_sing())


def tiny_folder() -> Path:
    """The tiny set that ships with the package."""
    return Path(str(resources.files("unbraid.songs") / "tiny"))


def _sample(folder: Path, entry: dict[str, Any], pitch: str) -> Sample:
    try:
        low, high = entry.get("vel", (1, 127))
        return Sample(folder / entry["file"], int(entry[pitch]), (int(low), int(high)))
    except (KeyError, TypeError, ValueError) as error:
        raise SettingsError(
            f"{shown(folder / 'map.json')} has an entry without file, {pitch} and vel: {entry}"
        ) from error


def _json(path: Path, none: Any) -> Any:
    if not path.exists():
        return none
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{shown(path)} is not readable JSON: {error}") from error


def instrument_of(samples: Sequence[Sample], folder: Path) -> str:
    """Where samples lie below the folder: "instruments/bass/swag"."""
    return samples[0].path.parent.relative_to(folder).as_posix()
