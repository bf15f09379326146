"""Where bars begin: which of the beats are first ones, and how many beats a bar has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unbraid.music.onsets import Onsets
from unbraid.shapes import Float

_METRES = (4, 3)
_MARGIN = 0.25  # how much likelier bars of three beats have to be than bars of four
_ON_BEAT = 0.1  # the beats that were tracked are a little likelier than the middles between them
_NEAR_S = 0.045
_SIDE_BEATS = 1.5
# What tells the first beat of a bar, and what the beats: by the logarithm of how much more of it
# there is than elsewhere.
_FIRST = {"change": 2.0, "low": 0.2, "bass": 0.15, "onset": 0.25, "high": -0.1}
_BEAT = {"change": 0.55, "low": 0.05, "bass": 0.0, "onset": 0.3, "high": 0.2}
_BACKBEAT = 0.2


@dataclass(frozen=True)
class Bars:
    """How beats make bars.

    Attributes:
        beats_in_bar: 3 or 4.
        first: index of the first beat that begins a bar.
        half: whether the beats lie in the middle between those that were tracked.
    """

    beats_in_bar: int
    first: int
    half: bool


def find_bars(
    times: Sequence[float], onsets: Onsets, chroma: Float[np.ndarray, "m 24"], chroma_rate: float
) -> Bars:
    """Bars of one number of beats from the beginning to the end of a song.

    Chords change where bars begin, bass drum and bass play there, and snares between; so every
    way to count is given a score.

    Args:
        times: of the beats, in seconds.
        onsets: of the song.
        chroma: of harmony and of bass, 12 pitch classes each.
        chroma_rate: its frames a second.
    """
    slots = _between(np.asarray(times))
    found = {
        "change": chord_changes(slots, chroma, chroma_rate),
        "low": _near(onsets.low, slots, onsets.rate),
        "high": _near(onsets.high, slots, onsets.rate),
        "bass": _near(onsets.bass, slots, onsets.rate),
        "onset": _near(onsets.curve, slots, onsets.rate),
    }
    best, counted = -np.inf, Bars(4, 0, False)
    for metre in _METRES:
        if len(times) < 2 * metre:
            continue
        scores = _scores(found, metre) - (_MARGIN if metre != 4 else 0.0)
        place = int(np.argmax(scores))
        if scores[place] > best:
            best = float(scores[place])
            half = place % 2 == 1
            counted = Bars(metre, place // 2, half)
    return counted


def chord_changes(
    moments: Float[np.ndarray, " n"], chroma: Float[np.ndarray, "m k"], rate: float
) -> Float[np.ndarray, " n"]:
    """How much other the pitches are after each moment than before it, 0 to 1.

    Args:
        moments: in seconds, half a beat apart.
    """
    side = _SIDE_BEATS * 2 * float(np.median(np.diff(moments)))
    sums = np.concatenate([np.zeros((1, chroma.shape[1])), np.cumsum(chroma, axis=0)])

    def mean(start: np.ndarray, end: np.ndarray) -> np.ndarray:
        a, b = (np.clip(np.rint(m * rate), 0, len(chroma)).astype(int) for m in (start, end))
        average: np.ndarray = (sums[b] - sums[a]) / np.maximum(1, b - a)[:, None]
        return average

    before, after = mean(moments - side, moments), mean(moments, moments + side)
    both = np.linalg.norm(before, axis=1) + np.linalg.norm(after, axis=1)
    apart = np.linalg.norm(before - after, axis=1)
    usual = float(both.mean())
    changes: np.ndarray = apart / np.maximum(both, 0.1 * usual + 1e-9)
    return changes


def _between(times: np.ndarray) -> np.ndarray:
    """The times with their middles."""
    slots = np.empty(2 * len(times) - 1)
    slots[::2], slots[1::2] = times, (times[1:] + times[:-1]) / 2
    return slots


def _near(curve: np.ndarray, moments: np.ndarray, rate: float) -> np.ndarray:
    """The greatest value around each moment."""
    reach = max(1, round(_NEAR_S * rate))
    around = np.rint(moments * rate).astype(int)[:, None] + np.arange(-reach, reach + 1)
    values: np.ndarray = curve[np.clip(around, 0, len(curve) - 1)].max(axis=1)
    return values


def _scores(found: dict[str, np.ndarray], metre: int) -> np.ndarray:
    """How likely a bar begins at each of its half beats."""
    size = 2 * metre
    score = np.where(np.arange(size) % 2 == 0, _ON_BEAT, 0.0)
    ratios = {}
    for name, values in found.items():
        rows = values[: len(values) // size * size].reshape(-1, size).mean(axis=0)
        mean = float(rows.mean())
        ratio = np.log((rows + 0.1 * mean + 1e-9) / (1.1 * mean + 1e-9))
        ratios[name] = ratio
        score = score + _FIRST[name] * ratio
        beats = np.array(
            [ratio[p % 2 :: 2].mean() - ratio[1 - p % 2 :: 2].mean() for p in range(size)]
        )
        score += _BEAT[name] * beats
    if metre == 4:
        snare = ratios["high"] - ratios["low"]
        score += (
            _BACKBEAT * (np.roll(snare, -2) + np.roll(snare, -6) - snare - np.roll(snare, -4)) / 2
        )
    return score
