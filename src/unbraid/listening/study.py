"""What a study is: its settings, its sounds, and its folder.

STUDY/
  study.json         private: which system is behind which sound
  public/index.html  the page for raters; works from a server and as a file
  public/audio/      sounds, named by keyed hashes
  ratings.sqlite     made by `listen serve`
  exports/           where files that raters sent may be put
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from unbraid.atomic import write_text
from unbraid.errors import SettingsError

VERSION = 1
MODES = ("likert", "mushra")
ANCHOR = "anchor"


@dataclass(frozen=True)
class Question:
    """One question about a sound.

    Attributes:
        name: as results call it.
        text: as raters read it.
        lowest, highest: the ends of the scale, in words.
    """

    name: str
    text: str
    lowest: str
    highest: str


LIKERT_QUESTIONS = (
    Question(
        "quality",
        "How good is the sound, apart from other instruments in it?",
        "full of artefacts",
        "no artefacts",
    ),
    Question(
        "contamination",
        "How free is it of the other instruments?",
        "full of them",
        "none of them",
    ),
)
MUSHRA_QUESTIONS = (
    Question("quality", "How close is each sound to the reference?", "bad", "like the reference"),
)


@dataclass(frozen=True)
class StudySettings:
    """How a study is made.

    Attributes:
        title: of the page.
        mode: "likert" (one sound at a time, two questions, 1 to 5, as in the paper) or "mushra"
            (all systems side by side, sliders from 0 to 100, hidden reference and anchor).
        samples: what one rater rates: sounds (likert) or screens (mushra).
        excerpt_s: length of an excerpt.
        raters: for how many raters playlists are drawn; later ones begin again with the first.
        excerpts: of each stem of each track.
        practice: samples to begin with that do not count.
        heard_by: how many raters hear each sound, about; excerpts are chosen so that it comes out.
            Agreement can only be measured where several raters hear the same. 0 takes all excerpts.
        loudness_lufs: integrated loudness (ITU-R BS.1770-4) of every sound.
        anchor_hz: cutoff of the low-passed mixture that is the anchor of "mushra".
        seed: of excerpts, names and playlists.
    Raises:
        SettingsError: for settings that cannot be.
    """

    title: str = "Listening test"
    mode: str = "likert"
    samples: int = 25
    excerpt_s: float = 12.0
    raters: int = 40
    excerpts: int = 1
    practice: int = 2
    heard_by: int = 3
    loudness_lufs: float = -23.0
    anchor_hz: float = 3500.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise SettingsError(f"a study is {' or '.join(MODES)}, got {self.mode!r}")
        for name in ("samples", "raters", "excerpts"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is at least 1, got {getattr(self, name)}")
        for name in ("practice", "heard_by"):
            if getattr(self, name) < 0:
                raise SettingsError(f"{name} is at least 0, got {getattr(self, name)}")
        if not 1.0 <= self.excerpt_s <= 60.0:
            raise SettingsError(f"an excerpt has 1 to 60 s, got {self.excerpt_s:g}")
        if not -50.0 <= self.loudness_lufs <= -10.0:
            raise SettingsError(f"loudness is -50 to -10 LUFS, got {self.loudness_lufs:g}")

    def pool_size(self, systems: int) -> int | None:
        """How many excerpts make each sound heard by `heard_by` raters; None for all there are."""
        if self.heard_by == 0:
            return None
        shown = self.samples * self.raters / self.heard_by
        return max(1, round(shown / systems if self.mode == "likert" else shown))

    @property
    def questions(self) -> tuple[Question, ...]:
        """What is asked about each sound."""
        return LIKERT_QUESTIONS if self.mode == "likert" else MUSHRA_QUESTIONS

    @property
    def scale(self) -> tuple[int, int]:
        """Lowest and highest answer."""
        return (1, 5) if self.mode == "likert" else (0, 100)


@dataclass(frozen=True)
class Sound:
    """What is behind one file; private.

    Attributes:
        file: its name in `public/audio`.
        role: "rated", "mixture" or "open" (the open reference of a MUSHRA screen).
        system: who made it.
        track, stem: of what.
        start_s: where in the track.
        gain_db: applied to match loudness.
        loudness_lufs: before the gain; None for silence.
    """

    file: str
    role: str
    system: str
    track: str
    stem: str
    start_s: float
    gain_db: float
    loudness_lufs: float | None


@dataclass(frozen=True)
class Trial:
    """One screen: sounds to rate of one excerpt; public.

    Attributes:
        id: within its playlist.
        stem: that the rater is asked about.
        sounds: files to rate, in the order shown.
        mixture: file of the song as it was.
        open_reference: file of the true stem, for "mushra".
        practice: whether it does not count.
    """

    id: str
    stem: str
    sounds: tuple[str, ...]
    mixture: str
    open_reference: str | None = None
    practice: bool = False


@dataclass(frozen=True)
class Study:
    """A study, with its key.

    Attributes:
        id: random.
        settings: how it was made.
        systems: names, the reference among them.
        reference: the hidden reference's name.
        stems: that are asked about.
        sounds: by file name.
        playlists: for each rater.
    """

    id: str
    settings: StudySettings
    systems: tuple[str, ...]
    reference: str
    stems: tuple[str, ...]
    sounds: Mapping[str, Sound]
    playlists: Sequence[Sequence[Trial]] = field(default_factory=tuple)

    @property
    def question_names(self) -> tuple[str, ...]:
        """Names of the questions, as answers have them."""
        return tuple(question.name for question in self.settings.questions)

    def trial(self, playlist: int, trial_id: str) -> Trial | None:
        """A trial of a playlist, by its id."""
        trials = self.playlists[playlist % len(self.playlists)]
        return next((trial for trial in trials if trial.id == trial_id), None)


def save_study(study: Study, folder: Path) -> None:
    """Write `study.json`."""
    content = {
        "unbraid_listening": VERSION,
        **asdict(study),
        "sounds": {name: asdict(sound) for name, sound in study.sounds.items()},
    }
    write_text(folder / "study.json", json.dumps(content, indent=1))


def load_study(folder: Path) -> Study:
    """Read `study.json`.

    Raises:
        SettingsError: if there is none, or it is not a study of unbraid.
    """
    path = folder / "study.json"
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        if content["unbraid_listening"] != VERSION:
            raise KeyError("version")
        return Study(
            id=content["id"],
            settings=StudySettings(**content["settings"]),
            systems=tuple(content["systems"]),
            reference=content["reference"],
            stems=tuple(content["stems"]),
            sounds={name: Sound(**sound) for name, sound in content["sounds"].items()},
            playlists=[
                [Trial(**{**trial, "sounds": tuple(trial["sounds"])}) for trial in trials]
                for trials in content["playlists"]
            ],
        )
    except OSError:
        raise SettingsError(
            f"{str(folder)!r} holds no study; make one with: unbraid listen build"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{str(path)!r} is not a study of this version: {error}") from None


def public_view(study: Study) -> dict[str, Any]:
    """What raters' browsers may know."""
    settings = study.settings
    return {
        "id": study.id,
        "title": settings.title,
        "mode": settings.mode,
        "seconds": settings.excerpt_s,
        "scale": list(settings.scale),
        "questions": [asdict(question) for question in settings.questions],
        "playlists": [[asdict(trial) for trial in trials] for trials in study.playlists],
    }
