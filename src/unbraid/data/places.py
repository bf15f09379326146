"""Where the stems of a random excerpt come from: one place of one track, or places of their own.

Two things make small data go further. Excerpts are looked for where something sounds: a stem that
rarely plays is else hardly ever heard. And stems may come from tracks of their own, at speeds of
their own, also where the track of an excerpt has none of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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

Read = Callable[[IndexedTrack, str, int, int], Float32[np.ndarray, "c t"]]
"""Reads (track, stem, start, samples)."""

_LOUD, _LOUD_RAW = 0.1, 0.01  # peaks: of normalized tracks, whose mixture has deviation 1; of files


def gather(
    settings: ExcerptSettings,
    stems: Sequence[str],
    samples: int,
    draw: Draw,
    read: Read,
    rng: np.random.Generator,
) -> Float32[np.ndarray, "s c t"]:
    """The sources of one excerpt.

    Args:
        settings: `apart`, `loud_tries`, `borrow`, `speed` and `normalize` of them.
        stems: names, in the order of the result.
        samples: of the result.
        draw, read: of the tracks.
        rng: of everything that is drawn here.
    Returns:
        (stems, channels, samples).
    """
    if rng.random() < settings.apart:
        return np.stack([_alone(settings, stem, samples, draw, read, rng) for stem in stems])
    track, start = _together(settings, samples, draw, read, rng)
    sources = np.stack([read(track, stem, start, samples) for stem in stems])
    for number, stem in enumerate(stems):
        if stem in settings.borrow and not _sounds(sources[number], settings):
            sources[number] = _alone(settings, stem, samples, draw, read, rng)
    return sources


def _together(
    settings: ExcerptSettings, samples: int, draw: Draw, read: Read, rng: np.random.Generator
) -> Place:
    """A place where one of the stems of `loud_tries` sounds, if one is found."""
    place = draw()
    if not settings.loud_tries:
        return place
    stem = str(rng.choice(sorted(settings.loud_tries)))
    for _ in range(settings.loud_tries[stem] - 1):
        if _sounds(read(place[0], stem, place[1], samples), settings):
            break
        place = draw()
    return place


def _alone(
    settings: ExcerptSettings,
    stem: str,
    samples: int,
    draw: Draw,
    read: Read,
    rng: np.random.Generator,
) -> Float32[np.ndarray, "c t"]:
    """A stem from a place of its own, at a speed of its own."""
    reach = settings.speed.get(stem, 0.0)
    speed = math.exp(rng.uniform(-reach, reach)) if reach else 1.0
    needed = samples if speed == 1 else math.ceil(samples * speed) + 2
    found = read(*_order(draw(), stem), needed)
    for _ in range(settings.loud_tries.get(stem, 1) - 1):
        if _sounds(found, settings):
            break
        found = read(*_order(draw(), stem), needed)
    return found if speed == 1 else _faster(found, speed, samples)


def _order(place: Place, stem: str) -> tuple[IndexedTrack, str, int]:
    return place[0], stem, place[1]


def _faster(
    signal: Float32[np.ndarray, "c u"], speed: float, samples: int
) -> Float32[np.ndarray, "c t"]:
    """Played faster or slower, pitch and all, as a record is; straight lines between samples."""
    at = np.arange(samples) * speed
    there = np.arange(signal.shape[1])
    return np.stack([np.interp(at, there, channel) for channel in signal]).astype(np.float32)


def _sounds(signal: np.ndarray, settings: ExcerptSettings) -> bool:
    loud = _LOUD if settings.normalize else _LOUD_RAW
    return bool(np.abs(signal[:, ::16]).max(initial=0.0) > loud)
