"""Where the stems of an excerpt come from: one place of one track, or a different place each.

Two things make small data go further. Excerpts are looked for where something sounds: a stem that
rarely plays is else hardly ever heard. And stems may come from tracks of their own, at speeds of
their own, also where the track of an excerpt has none of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from unbraid.data.indexed_track import IndexedTrack
from unbraid.errors import SettingsError
from unbraid.shapes import Float32


@dataclass(frozen=True)
class ExcerptSettings:
    """Which excerpts make up an epoch.

    Attributes:
        excerpt_s: length of an excerpt, in seconds.
        stride_s: distance of the grid's excerpts, in seconds.
        mode: "grid" takes every excerpt of a regular grid once an epoch; "random" starts anywhere.
        per_epoch: how many items an epoch has; None takes as many as the grid has. Of a grid, an
            epoch then has that many, drawn again for each epoch.
        apart: how often the stems of an excerpt come from different places; this and what
            follows is for "random" alone.
        loud_tries: by stem, how many places are looked at until it sounds in one; 1 if not named.
        borrow: stems that come from another place if the excerpt's own place has none.
        speed: by stem, how far the speed of one from another place can change, as a power of
            e: 0.1 is 10 % slower to 11 % faster.
        normalize: subtract the mean of the track's mono mixture and divide by its deviation.
    Raises:
        SettingsError: if a length or a number is out of its range.
    """

    excerpt_s: float = 11.0
    stride_s: float = 1.0
    mode: Literal["grid", "random"] = "grid"
    per_epoch: int | None = None
    apart: float = 0.0
    loud_tries: Mapping[str, int] = field(default_factory=dict)
    borrow: tuple[str, ...] = ()
    speed: Mapping[str, float] = field(default_factory=dict)
    normalize: bool = True

    def __post_init__(self) -> None:
        for name in ("excerpt_s", "stride_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise SettingsError(f"{name} is a time above 0 s, got {value}")
        if self.mode not in ("grid", "random"):
            raise SettingsError(f"excerpts lie on a 'grid' or at 'random', got {self.mode!r}")
        if self.per_epoch is not None and self.per_epoch < 1:
            raise SettingsError(f"an epoch has at least 1 item, got {self.per_epoch}")
        self._check_places()

    @property
    def gathers(self) -> bool:
        """Whether stems are looked for, and not just taken as they come."""
        return bool(self.apart or self.loud_tries or self.borrow or self.speed)

    def _check_places(self) -> None:
        if self.gathers and self.mode != "random":
            raise SettingsError("apart, loud_tries, borrow and speed need the mode 'random'")
        if not 0 <= self.apart <= 1:
            raise SettingsError(f"apart lies within 0 and 1, got {self.apart}")
        for stem, tries in self.loud_tries.items():
            if not 1 <= tries <= 1000:
                raise SettingsError(f"loud_tries.{stem} is 1 to 1000 places, got {tries}")
        for stem, reach in self.speed.items():
            if not 0 <= reach <= 1:
                raise SettingsError(f"speed.{stem} lies within 0 and 1, got {reach}")


Place = tuple[IndexedTrack, int]
"""A track and the first sample in it."""

Draw = Callable[[], Place]
"""Draws a place."""


@dataclass(frozen=True, eq=False)
class Cut:
    """One stem of one excerpt: where it is from, and how much faster it is played."""

    track: IndexedTrack
    stem: str
    start: int
    speed: float = 1.0

    def needed(self, samples: int) -> int:
        """Samples of the track for a number of samples of the excerpt."""
        return samples if self.speed == 1 else math.ceil(samples * self.speed) + 2


Sounds = Callable[[Cut], bool]
"""Whether anything is to be heard in a cut."""

_LOUD, _LOUD_RAW = 0.1, 0.01  # peaks: of normalized tracks, whose mixture has deviation 1; of files


def least_peak(settings: ExcerptSettings) -> float:
    """A stem sounds where its samples in an excerpt exceed this."""
    return _LOUD if settings.normalize else _LOUD_RAW


def choose_cuts(
    settings: ExcerptSettings,
    stems: Sequence[str],
    draw: Draw,
    sounds: Sounds,
    rng: np.random.Generator,
) -> list[Cut]:
    """Where the stems of one excerpt come from, in their order.

    Args:
        settings: `apart`, `loud_tries`, `borrow` and `speed` of them.
        stems: names.
        draw, sounds: of the tracks.
        rng: of everything that is drawn here.
    """
    if rng.random() < settings.apart:
        return [_alone(settings, stem, draw, sounds, rng) for stem in stems]
    place = _together(settings, draw, sounds, rng)
    cuts = [_cut(place, stem) for stem in stems]
    for number, cut in enumerate(cuts):
        if cut.stem in settings.borrow and not sounds(cut):
            cuts[number] = _alone(settings, cut.stem, draw, sounds, rng)
    return cuts


def _together(
    settings: ExcerptSettings, draw: Draw, sounds: Sounds, rng: np.random.Generator
) -> Place:
    """A place where one of the stems of `loud_tries` sounds, if one is found."""
    place = draw()
    if not settings.loud_tries:
        return place
    stem = str(rng.choice(sorted(settings.loud_tries)))
    for _ in range(settings.loud_tries[stem] - 1):
        if sounds(_cut(place, stem)):
            break
        place = draw()
    return place


def _alone(
    settings: ExcerptSettings, stem: str, draw: Draw, sounds: Sounds, rng: np.random.Generator
) -> Cut:
    """A stem from a separate place, at a separate speed."""
    reach = settings.speed.get(stem, 0.0)
    speed = math.exp(rng.uniform(-reach, reach)) if reach else 1.0
    cut = _cut(draw(), stem, speed)
    for _ in range(settings.loud_tries.get(stem, 1) - 1):
        if sounds(cut):
            break
        cut = _cut(draw(), stem, speed)
    return cut


def _cut(place: Place, stem: str, speed: float = 1.0) -> Cut:
    return Cut(place[0], stem, place[1], speed)


def faster(
    signal: Float32[np.ndarray, "c u"], speed: float, samples: int
) -> Float32[np.ndarray, "c t"]:
    """Played faster or slower, pitch and all, as a record is; straight lines between samples."""
    at = np.arange(samples) * speed
    there = np.arange(signal.shape[1])
    return np.stack([np.interp(at, there, channel) for channel in signal]).astype(np.float32)
