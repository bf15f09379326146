"""Songs with their stems, as folders: ROOT/{train,valid,test}/TRACK/{mixture,STEM}.SUFFIX

Upper and lower case of a part's name make no difference: Vocals.wav holds the stem "vocals", and
Mixture.wav, Mix.wav and Full Mix.wav the mixture.

MUSDB18-HQ is laid out like this, except for its validation set: 14 songs of `train`, known by
name. A missing mixture is the sum of the stems.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from unbraid.audio.suffixes import EXTENSIONS
from unbraid.errors import SettingsError

MIXTURE = "mixture"
_MIXTURES = frozenset({"mixture", "mix", "mixdown", "full mix", "fullmix"})
"""Names under which programs and people save the whole song."""

SPLITS = ("train", "valid", "test")

MUSDB_VALIDATION = (
    "ANiMAL - Rockshow",
    "Actions - One Minute Smile",
    "Alexander Ross - Goodbye Bolero",
    "Clara Berry And Wooldog - Waltz For My Victims",
    "Fergessen - Nos Palpitants",
    "James May - On The Line",
    "Johnny Lokke - Promises & Lies",
    "Leaf - Summerghost",
    "Meaxic - Take A Step",
    "Patrick Talbot - A Reason To Leave",
    "Skelpolu - Human Mistakes",
    "Traffic Experiment - Sirens",
    "Triviul - Angelsaint",
    "Young Griffo - Pennies",
)
"""Songs of MUSDB18's `train` that its authors set apart for validation."""


@dataclass(frozen=True)
class Track:
    """A folder with the stems of one song.

    Attributes:
        name: path below the root, with slashes, composed (NFC) characters.
        folder: where it is.
        stems: name, in lower case, to file, sorted by name; without the mixture.
        mixture: its file, if there is one.
        problem: why it cannot be used, known before anything is opened; None for all others.
    """

    name: str
    folder: Path
    stems: dict[str, Path] = field(default_factory=dict)
    mixture: Path | None = None
    problem: str | None = None


def find_tracks(root: str | os.PathLike[str]) -> list[Track]:
    """All tracks at or below `root`, sorted by name; hidden files and folders are left out.

    Every folder that holds sound files is a track. If `root` itself is one, its name is that of
    the folder.

    Raises:
        SettingsError: if the folder does not exist, or has no tracks.
    """
    top = Path(root)
    if not top.is_dir():
        what = "is not a folder" if top.exists() else "does not exist"
        raise SettingsError(f"{str(top)!r} {what}; give a folder of tracks, TRACK/STEM.wav")
    try:
        tracks = [_read_track(top, folder, names) for folder, names in _sound_folders(top)]
    except OSError as error:
        raise SettingsError(f"{str(error.filename)!r} cannot be read: {error.strerror}") from error
    if not tracks:
        raise SettingsError(f"{str(top)!r} holds no sound files; a track is a folder of STEM.wav")
    return sorted(tracks, key=lambda track: track.name)


def dataset_tracks(root: str | os.PathLike[str], split: str) -> list[Track]:
    """The tracks of one split of a dataset.

    Without a folder `valid`, "valid" is what `train` has of MUSDB18's 14 validation songs, and
    "train" the rest of it.

    Raises:
        SettingsError: if the dataset or the split is not there.
    """
    top = Path(root)
    if split not in SPLITS:
        raise SettingsError(f"a split is one of {', '.join(SPLITS)}, got {split!r}")
    if not top.is_dir():
        what = "is not a folder" if top.exists() else "does not exist"
        raise SettingsError(f"{str(top)!r} {what}; give the ROOT of a dataset")
    if (top / split).is_dir() and (split != "train" or (top / "valid").is_dir()):
        return find_tracks(top / split)
    if split == "test" or not (top / "train").is_dir():
        there = ", ".join(name for name in SPLITS if (top / name).is_dir()) or "none of them"
        raise SettingsError(
            f"{str(top)!r} has no folder {split!r}; a dataset is ROOT/{{train,valid,test}}/TRACK/"
            f"STEM.wav, and there is {there}"
        )
    tracks = find_tracks(top / "train")
    chosen = [t for t in tracks if (t.name in MUSDB_VALIDATION) == (split == "valid")]
    if not chosen:
        raise SettingsError(
            f"{str(top)!r} has no folder 'valid', and none of MUSDB18's validation songs in 'train'"
        )
    return chosen


def _sound_folders(top: Path, above: tuple[str, ...] = ()) -> Iterator[tuple[Path, list[str]]]:
    """Folders with sound files. Links to folders are followed, but never in a circle."""
    real = os.path.realpath(top)
    if real in above:
        return
    names = sorted(entry.name for entry in top.iterdir() if not entry.name.startswith("."))
    sounds = [name for name in names if _is_sound(name) and not (top / name).is_dir()]
    if sounds:
        yield top, sounds
    for name in names:
        if (top / name).is_dir():
            yield from _sound_folders(top / name, (*above, real))


def _is_sound(name: str) -> bool:
    return Path(name).suffix.lstrip(".").lower() in EXTENSIONS


def _read_track(top: Path, folder: Path, names: list[str]) -> Track:
    below = folder.relative_to(top).as_posix()
    name = _composed(below if below != "." else folder.resolve().name)
    parts: dict[str, Path] = {}
    for file in names:
        stem = part_name(Path(file).stem)
        if stem in parts:
            problem = f"there are two files of {stem}: {parts[stem].name} and {file}; keep one"
            return Track(name, folder, problem=problem)
        parts[stem] = folder / file
    mixture = parts.pop(MIXTURE, None)
    return Track(name, folder, dict(sorted(parts.items())), mixture)


def part_name(text: str) -> str:
    """The name of a part however it is spelled: in lower case, composed, "mixture" for the mixture.

    >>> part_name("Vocals"), part_name("MIX"), part_name("Full_Mix")
    ('vocals', 'mixture', 'mixture')
    """
    name = _composed(_composed(text).casefold().strip())
    return MIXTURE if re.sub(r"[ _-]+", " ", name) in _MIXTURES else name


def _composed(text: str) -> str:
    """Names as other systems write them: macOS may store an umlaut as two characters."""
    return unicodedata.normalize("NFC", text)
