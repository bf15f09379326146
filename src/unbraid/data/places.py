"""Where the stems of an excerpt come from: one place of one track, or places of their own.

Two things make small data go further. Excerpts are looked for where something sounds: a stem that
rarely plays is else hardly ever heard. And stems may come from tracks of their own, at speeds of
their own, also where the track of an excerpt has none of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

from unbraid.data.index import IndexedTrack

if TYPE_CHECKING:
    from unbraid.data.excerpts import ExcerptSettings

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
        """Samples of the track that so many of the excerpt are made of."""
        return samples if self.speed == 1 else math.ceil(samples * self.speed) + 2


Sounds = Callable[[Cut], bool]
"""Whether anything is to be heard in a cut."""

_LOUD, _LOUD_RAW = 0.1, 0.01  # peaks: of normalized tracks, whose mixture has deviation 1; of files


def least_peak(settings: ExcerptSettings) -> float:
    """A stem sounds where its samples, as they are in an excerpt, go beyond this."""
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
    """A stem from a place of its own, at a speed of its own."""
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
