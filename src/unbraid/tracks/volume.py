"""Gains for a requested loudness: one for the song, or one for each stem."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from unbraid.audio.levels import peak
from unbraid.audio.loudness import LoudnessMeter


@dataclass(frozen=True)
class Volume:
    """Gains that come before the one that keeps all stems within full scale.

    Attributes:
        song: of the original and all stems.
        stems: of each stem besides; empty if all are 1.
        notes: what was done, in sentences.
    """

    song: float = 1.0
    stems: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """A signal's loudness in LUFS, -inf for silence, and its greatest magnitude."""

    lufs: float
    peak: float

    def gain_to(self, lufs: float, ceiling: float) -> float:
        """The gain to `lufs`, or as near as the peak allows; 1 for silence."""
        if math.isinf(self.lufs):
            return 1.0
        return min(float(10.0 ** ((lufs - self.lufs) / 20.0)), ceiling / max(self.peak, 1e-9))


def measure(
    blocks: Iterable[np.ndarray], sample_rate: int, channels: int, signals: int = 1
) -> list[Measured]:
    """Loudness and peak of one or several signals that lie in the same blocks.

    Args:
        blocks: (signals x channels, samples) each.
        sample_rate: Hz.
        channels: of each signal.
        signals: how many.
    """
    meters = [LoudnessMeter(sample_rate, channels) for _ in range(signals)]
    peaks = [0.0] * signals
    for block in blocks:
        for index, part in enumerate(block.reshape(signals, channels, -1)):
            meters[index].push(part)
            peaks[index] = max(peaks[index], peak(part))
    return [Measured(m.loudness_lufs(), top) for m, top in zip(meters, peaks, strict=True)]


def song_volume(song: Measured, lufs: float, ceiling: float) -> Volume:
    """One gain for the original and its stems."""
    gain = song.gain_to(lufs, ceiling)
    return Volume(gain, notes=(_note("the song", song, gain, lufs),))


def stem_volumes(stems: Mapping[str, Measured], lufs: float, ceiling: float) -> Volume:
    """A gain for each stem."""
    gains = {name: stem.gain_to(lufs, ceiling) for name, stem in stems.items()}
    notes = [_note(name, stem, gains[name], lufs) for name, stem in stems.items()]
    return Volume(stems=tuple(gains.values()), notes=tuple(notes))


def _note(name: str, signal: Measured, gain: float, lufs: float) -> str:
    if math.isinf(signal.lufs):
        return f"{name} is silent and stays as it is"
    change_db = 20.0 * math.log10(gain)
    reached = signal.lufs + change_db
    note = f"{name} was brought from {signal.lufs:.1f} to {reached:.1f} LUFS ({change_db:+.1f} dB)"
    return note if reached > lufs - 0.05 else f"{note}; its peaks allow no more"
