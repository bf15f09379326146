"""Sampled instruments as people play them: no note sounds twice the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from unbraid.songs.effects import RATE
from unbraid.songs.synth import Sample


class Stroke(NamedTuple):
    """One played note.

    Attributes:
        start, length: s.
        pitch: MIDI.
        velocity: 1 to 127.
        muted: with the palm (guitars), or hardly a note at all (basses).
        slide: semitones away from the pitch at its start, glided to the pitch.
    """

    start: float
    length: float
    pitch: int
    velocity: int
    muted: bool = False
    slide: float = 0.0


@lru_cache(maxsize=500)
def load(path: Path) -> tuple[np.ndarray, int]:
    """Sound, float32 (samples, channels), and its rate."""
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return audio, rate


class Sampler:
    """Plays notes from samples.

    Args:
        samples: of one articulation.
        rng: picks among takes of the same note and velocity.
        cents: deviation of the tuning of single notes.
    """

    def __init__(self, samples: Sequence[Sample], rng: np.random.Generator, cents=3.0) -> None:
        self.rng, self.cents = rng, cents
        self.by_pitch: dict[int, list[Sample]] = {}
        for sample in samples:
            self.by_pitch.setdefault(sample.pitch, []).append(sample)
        self.last: Sample | None = None
        self.fits: dict[tuple[int, int], list[Sample]] = {}

    def pick(self, pitch: int, velocity: int) -> Sample:
        """One of the takes that fit best, but not that of the last note."""
        fit = self.fitting(pitch, velocity)
        others = [s for s in fit if s is not self.last] or fit
        self.last = others[self.rng.integers(len(others))]
        return self.last

    def fitting(self, pitch: int, velocity: int) -> list[Sample]:
        """Those of the nearest pitch and velocity."""
        key = (pitch, velocity)
        if key not in self.fits:
            near = min(self.by_pitch, key=lambda p: (abs(p - pitch), p))
            takes = self.by_pitch[near]
            far = [max(s.velocities[0] - velocity, velocity - s.velocities[1], 0) for s in takes]
            self.fits[key] = [s for s, d in zip(takes, far, strict=True) if d == min(far)]
        return self.fits[key]

    def note(self, stroke: Stroke, release_s: float = 0.05) -> np.ndarray:
        """(samples,) of one note."""
        best = self.pick(stroke.pitch, stroke.velocity)
        audio, rate = load(best.path)
        count = int((stroke.length + release_s) * RATE)
        shift = stroke.pitch - best.pitch + self.rng.normal(0, self.cents) / 100
        ratio = 2 ** (shift / 12) * rate / RATE
        if stroke.slide:
            seconds = np.arange(count) / RATE
            bend = stroke.slide * np.clip(1 - seconds / 0.12, 0, 1)
            at = np.cumsum(ratio * 2 ** (bend / 12))
        else:
            at = np.arange(count) * ratio
        at = at[: int(np.searchsorted(at, len(audio) - 1))]
        index = at.astype(np.int64)
        part = (at - index).astype(np.float32)
        mono = audio[:, 0]
        out = mono[index] * (1 - part) + mono[index + 1] * part
        fade = min(len(out), int(release_s * RATE))
        out[len(out) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
        return out * np.float32(0.25 + 0.75 * stroke.velocity / 127)

    def play(self, strokes: Iterable[Stroke], samples: int, release_s: float = 0.05) -> np.ndarray:
        """(samples,) of all of them."""
        out = np.zeros(samples, np.float32)
        for stroke in strokes:
            start = int(stroke.start * RATE)
            if 0 <= start < samples:
                piece = self.note(stroke, release_s)[: samples - start]
                out[start : start + len(piece)] += piece
        return out


class Drum:
    """Plays the hits of one drum.

    Args:
        samples: its hits.
        rng: picks among those of about the same velocity.
        tuning: speed.
        decay_s: time constant of a decay on top of the drum's own, or 0.
    """

    def __init__(self, samples: Sequence[Sample], rng, tuning: float, decay_s: float) -> None:
        self.samples = sorted(samples, key=lambda s: sum(s.velocities))
        self.rng, self.tuning, self.decay_s = rng, tuning, decay_s
        self.made: dict[Path, np.ndarray] = {}

    def hit(self, velocity: int) -> np.ndarray:
        """(samples, 2)."""
        middle = np.array([sum(s.velocities) / 2 for s in self.samples])
        near = np.argsort(np.abs(middle - velocity), kind="stable")[:3]
        near = near[np.abs(middle[near] - velocity) <= np.abs(middle[near[0]] - velocity) + 14]
        path = self.samples[int(self.rng.choice(near))].path
        if path not in self.made:
            audio, rate = load(path)
            ratio = self.tuning * rate / RATE
            at = np.arange(0, len(audio) - 1, ratio)
            index = at.astype(np.int64)
            part = (at - index).astype(np.float32)[:, None]
            sound = audio[index] * (1 - part) + audio[index + 1] * part
            if self.decay_s:
                fall = np.exp(-np.arange(len(sound)) / (self.decay_s * RATE))
                sound *= fall.astype(np.float32)[:, None]
            self.made[path] = np.repeat(sound, 2, 1) if sound.shape[1] == 1 else sound
        return self.made[path] * np.float32(0.5 + 0.5 * velocity / 127)

    def play(self, times: Sequence[tuple[float, int]], out: np.ndarray) -> None:
        """Adds hits at times (s) with velocities to (samples, 2)."""
        for time, velocity in times:
            start = int(time * RATE)
            if 0 <= start < len(out):
                piece = self.hit(velocity)[: len(out) - start]
                out[start : start + len(piece)] += piece
