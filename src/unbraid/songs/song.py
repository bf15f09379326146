"""What the parts of one made-up song share: its settings, its plan and its random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unbraid.errors import SettingsError
from unbraid.songs import compose, soundfont, synth
from unbraid.songs.effects import RATE
from unbraid.songs.ingredients import Ingredients, instrument_of
from unbraid.songs.notes import Note

STEMS = ("drums", "bass", "other", "vocals")

Seed = int | Sequence[int]


@dataclass(frozen=True)
class SongSettings:
    """How songs are made up.

    Attributes:
        seconds: least and greatest length.
        recorded_vocals: files of real singing, (samples, 2) 16-bit .npy or sound at 44.1 kHz, that
            a third of the songs borrow an excerpt of.
        recorded_credit: their licence.
        choirs: how often a choir sings what else one voice would, speech turned to song.
    Raises:
        SettingsError: if songs would be shorter than 4 s, the range is empty, or `choirs` is not
            between 0 and 1.
    """

    seconds: tuple[float, float] = (60, 85)
    recorded_vocals: tuple[Path, ...] = ()
    recorded_credit: str = ""
    choirs: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.seconds
        if not 4 <= low <= high <= 3600:
            raise SettingsError(f"songs last from 4 s to an hour, got {low:g} to {high:g}")
        if not 0 <= self.choirs <= 1:
            raise SettingsError(f"a share of choirs lies within 0 and 1, got {self.choirs:g}")


class Song:
    """What the parts of one song share.

    Args:
        seed: of everything.
        ingredients: what there is.
        settings: length and singers.
        kind: "electronic", "band" or "midi"; drawn if None.

    Attributes:
        rng: random numbers.
        plan: tempo, key and chords.
        samples: length.
        credits: licences of all that went into it.
        kicks: times of the bass drum, in seconds.
    """

    def __init__(
        self,
        seed: Seed,
        ingredients: Ingredients,
        settings: SongSettings,
        kind: str | None = None,
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.ingredients, self.settings = ingredients, settings
        drawn = str(self.rng.choice(("electronic", "band", "midi"), p=(0.52, 0.34, 0.14)))
        self.kind = kind or drawn
        if self.kind == "midi" and not ingredients.pieces:
            self.kind = "band"
        self.seconds = float(self.rng.uniform(*settings.seconds))
        self.samples = int(self.seconds * RATE)
        self.credits: set[str] = set()
        self.kicks: list[float] = []
        self.performance: str | None = None
        tempo = float(self.rng.uniform(85, 150))
        if self.kind == "band" or self.chance(0.15):
            performances = ingredients.performances
            if performances:
                tempo, self.performance = performances[self.rng.integers(len(performances))]
        self.plan = compose.make_plan(self.rng, tempo, self.seconds)

    def chance(self, probability: float) -> bool:
        """A coin."""
        return bool(self.rng.random() < probability)

    def bars(self, share: float) -> list[int]:
        """The bars in which a part plays, about the given share of all."""
        return compose.active_bars(self.rng, self.plan, share)

    def play(self, notes: Sequence[Note], voice: synth.Voice) -> np.ndarray:
        """(samples, 2)."""
        return synth.render(notes, voice, self.samples)

    def play_font(self, program: int | None, notes: Sequence[Note]) -> np.ndarray:
        """Notes on a soundfont, which must be there; (samples, 2)."""
        assert self.ingredients.soundfont is not None
        self.credits.add(self.ingredients.soundfont_credit())
        reverb = self.chance(0.3)
        return soundfont.play(self.ingredients.soundfont, [(program, notes)], self.samples, reverb)

    def use(self, samples: Sequence[synth.Sample]) -> None:
        """Take samples down in the credits."""
        place = instrument_of(samples, self.ingredients.folder)
        self.credits.add(self.ingredients.credit(place))
