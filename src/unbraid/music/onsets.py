"""How much begins at each moment, from the features of stems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from unbraid.music.features import BANDS, LOW_BANDS, Features
from unbraid.shapes import Float

_FLOOR = 300.0  # levels 50 dB below the loudest count little
_MEAN_S, _LOUD_S = 0.5, 4.0
_WEIGHTS = {"drums": 1.0, "bass": 0.5, "other": 0.5, "vocals": 0.1}
_USUAL = 0.5
# A hi-hat says less about the beat than a bass drum or a snare does.
_BAND_WEIGHTS = np.concatenate(
    [np.full(LOW_BANDS, 2.0), np.ones(BANDS - LOW_BANDS - 6), np.full(6, 0.5)]
).astype(np.float32)


@dataclass(frozen=True)
class Onsets:
    """What begins, at `rate` moments a second.

    Attributes:
        curve: of all stems together, 0 and more, with a local deviation near 1.
        low, high: of what tells a bass drum and a snare, from the drums; or from all there is.
        bass: of the bass; nothing but zeros without one.
    """

    curve: Float[np.ndarray, " n"]
    low: Float[np.ndarray, " n"]
    high: Float[np.ndarray, " n"]
    bass: Float[np.ndarray, " n"]
    rate: float


def find_onsets(stems: Mapping[str, Features]) -> Onsets:
    """The onsets of a song from its stems, all of one length."""
    top = max(float(one.levels.max(initial=0)) for one in stems.values())
    growths = {name: _growth(one, top) for name, one in stems.items()}
    frames = min(map(len, growths.values()))
    growths = {name: growth[:frames] for name, growth in growths.items()}
    rate = next(iter(stems.values())).rate
    total = np.zeros(frames, np.float32)
    for name, growth in growths.items():
        total += _WEIGHTS.get(name, _USUAL) * (growth @ _BAND_WEIGHTS)
    struck = growths.get("drums")
    if struck is None:
        struck = np.sum(list(growths.values()), axis=0)
    bass = growths.get("bass")
    return Onsets(
        curve=levelled(total, rate),
        low=struck[:, :LOW_BANDS].sum(axis=1),
        high=struck[:, LOW_BANDS + 3 :].sum(axis=1),
        bass=np.zeros(frames, np.float32) if bass is None else bass.sum(axis=1),
        rate=rate,
    )


def _growth(one: Features, top: float) -> np.ndarray:
    """By how much each band gets louder, in a logarithm that hides what is very soft."""
    if top <= 0:
        return np.zeros(one.levels.shape, np.float32)
    loud = np.log1p(_FLOOR / top * one.levels.astype(np.float32))
    # Two frames back: a window sees an onset come for longer than a frame.
    before = np.concatenate([loud[:1], loud[:1], loud[:-2]])[: len(loud)]
    growth: np.ndarray = np.maximum(0.0, loud - before)
    return growth


def levelled(curve: np.ndarray, rate: float) -> np.ndarray:
    """What stands out of its surroundings, in units of how much usually does so there."""
    rest = np.maximum(0.0, curve - _running_mean(curve, round(_MEAN_S * rate)))
    loud = np.sqrt(_running_mean(np.square(rest), round(_LOUD_S * rate)))
    overall = float(np.sqrt(np.mean(np.square(rest)))) if len(rest) else 0.0
    if overall <= 0:
        return np.zeros(len(curve), np.float32)
    # A silent passage does not get loud by this.
    usual = 0.5 * overall + 0.5 * np.maximum(loud, 0.2 * overall)
    standing_out: np.ndarray = (rest / usual).astype(np.float32)
    return standing_out


def _running_mean(curve: np.ndarray, width: int) -> np.ndarray:
    width = max(1, min(width, len(curve)))
    sums = np.cumsum(np.concatenate([[0.0], curve], dtype=np.float64))
    ends = np.minimum(np.arange(len(curve)) + width // 2 + 1, len(curve))
    starts = np.maximum(np.arange(len(curve)) - width // 2, 0)
    mean: np.ndarray = (sums[ends] - sums[starts]) / (ends - starts)
    return mean
