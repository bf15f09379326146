"""Random synthesizer voices: oscillators, a filter that closes, an envelope, now and then FM."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from unbraid.songs.effects import RATE, pan
from unbraid.songs.notes import hertz
from unbraid.songs.synth import Voice, envelope, oscillate

_Uniform = Callable[[float, float], float]
_Pick = Callable[[tuple[Any, ...]], Any]


@dataclass(frozen=True)
class _Patch:
    """The knobs of a synthesizer; called with a note it gives the sound, (samples, 2) float32.

    Attributes:
        kind, resonance: waveform, and how much the filter rings.
        voices, detune, width: oscillators, their spread in cents and in stereo.
        attack, decay, sustain, release: of the envelope, in seconds (sustain is a level).
        cutoff, sweep, sweep_s: of the filter: Hz, octaves above it at the start, time constant.
        sub: level of a sine an octave below.
        drive: into a tanh.
        fm, fm_ratio, fm_index: one modulating sine instead of waveform and filter.
        vibrato: in cents.
        fall, fall_s, click: octaves from which the pitch falls, time constant, noise at the start.
        spread, phases: of the oscillators.
    """

    kind: str
    resonance: float
    voices: int
    detune: float
    width: float
    decay: float
    sustain: float
    release: float
    cutoff: float
    sweep: float
    sweep_s: float
    drive: float
    attack: float = 0.005
    sub: float = 0.0
    fm: bool = False
    fm_ratio: float = 1.0
    fm_index: float = 0.0
    vibrato: float = 0.0
    fall: float = 0.0
    fall_s: float = 1.0
    click: np.ndarray = field(default_factory=lambda: np.zeros(0))
    spread: np.ndarray = field(default_factory=lambda: np.zeros(1))
    phases: np.ndarray = field(default_factory=lambda: np.zeros(1))

    def __call__(self, pitch: int, seconds: float, velocity: int) -> np.ndarray:
        count = int((seconds + self.release * 1.5) * RATE)
        time = np.arange(count) / RATE
        base = hertz(pitch) * 2 ** (self.vibrato * np.sin(2 * np.pi * 5.3 * time) / 1200)
        base = base * 2 ** (self.fall * np.exp(-time / self.fall_s))
        opening = self.sweep * np.exp(-time / self.sweep_s) * (0.4 + 0.6 * velocity / 127)
        filtered = np.maximum(self.cutoff * 2**opening, hertz(pitch) * 0.7)
        out = np.zeros((count, 2), np.float32)
        for offset, phase in zip(self.spread, self.phases, strict=True):
            frequency = base * 2 ** (offset * self.detune / 1200)
            out += pan(self._tone(frequency, filtered, phase, time), offset * self.width)
        out /= self.voices**0.7
        if self.sub:
            octave = 0.5 if pitch > 40 else 1.0
            turns = octave * hertz(pitch) * time
            if self.fall:
                turns = np.cumsum(octave * base) / RATE
            out += (self.sub * np.sin(2 * np.pi * turns))[:, None]
        out[: len(self.click)] += self.click[:count, None]
        if self.drive > 0.3:
            out = np.tanh(out * self.drive * 2) / self.drive / 2
        shape = (self.attack, self.decay, self.sustain, self.release)
        level = envelope(count, seconds, *shape)[:, None]
        return np.asarray(out * level * (0.3 + 0.7 * velocity / 127) * 0.3, np.float32)

    def _tone(
        self, frequency: np.ndarray, filtered: np.ndarray, phase: float, time: np.ndarray
    ) -> np.ndarray:
        if not self.fm:
            return oscillate(self.kind, self.resonance, frequency, filtered, phase)
        angle = 2 * np.pi * (np.cumsum(frequency) / RATE + phase)
        index = self.fm_index * np.exp(-time / self.decay)
        tone: np.ndarray = np.sin(angle + index * np.sin(self.fm_ratio * angle))
        return tone


def _bass(u: _Uniform, pick: _Pick) -> dict[str, Any]:
    return {
        "cutoff": u(80, 900),
        "sub": u(0, 1),
        "width": 0.0,
        "voices": int(pick((1, 1, 2, 3))),
        "kind": str(pick(("saw", "square", "pulse", "sine", "triangle"))),
    }


def _drone(u: _Uniform, pick: _Pick) -> dict[str, Any]:
    return {
        "cutoff": u(60, 250),
        "sweep": u(0, 1),
        "sub": u(0.3, 1.5),
        "width": u(0, 0.3),
        "attack": u(0.01, 0.3),
        "sustain": u(0.7, 1),
        "release": u(0.1, 0.6),
        "kind": str(pick(("saw", "triangle", "sine"))),
    }


def _deep(u: _Uniform, pick: _Pick) -> dict[str, Any]:
    return {
        "cutoff": u(40, 200),
        "sweep": u(0, 2),
        "sub": u(0.2, 2),
        "width": u(0, 0.2),
        "attack": 10 ** u(-2.5, -0.3),
        "sustain": u(0.3, 1),
        "release": 10 ** u(-1.3, 0),
        "kind": str(pick(("saw", "square", "triangle", "sine"))),
    }


def _loose(u: _Uniform, pick: _Pick) -> dict[str, Any]:
    return {
        "cutoff": u(40, 200),
        "sweep": u(0, 3),
        "sub": u(0, 1),
        "width": u(0, 0.1),
        "attack": 10 ** u(-2.7, -1.5),
        "decay": u(0.05, 1),
        "sustain": u(0, 1),
        "release": u(0.03, 0.3),
        "voices": int(pick((1, 2, 2, 3))),
        "kind": str(pick(("saw", "square", "triangle", "sine"))),
        "detune": u(3, 40),
    }


def _pad(u: _Uniform, pick: _Pick) -> dict[str, Any]:
    return {
        "attack": u(0.1, 0.8),
        "sustain": u(0.7, 1),
        "release": u(0.3, 1.2),
        "sweep_s": u(0.5, 2),
        "voices": int(pick((3, 5, 7))),
    }


def _pluck(u: _Uniform, pick: _Pick) -> dict[str, Any]:
    return {
        "decay": u(0.1, 0.5),
        "sustain": 0.0,
        "sweep": u(1, 4),
        "sweep_s": u(0.03, 0.2),
        "release": 0.15,
    }


_ROLES: dict[str, Callable[[_Uniform, _Pick], dict[str, Any]]] = {
    "bass": _bass,
    "drone": _drone,
    "deep": _deep,
    "loose": _loose,
    "punch": _loose,
    "pad": _pad,
    "pluck": _pluck,
}
"""What a role draws again, in the order in which it stands here."""


def patch(rng: np.random.Generator, role: str) -> Voice:
    """A random synthesizer voice: bass, deep, loose or punch (sub-basses), drone, pad, pluck, lead.

    A "punch" falls to its pitch from above and may click, as a kick does; then it stays.
    """
    u, pick = rng.uniform, rng.choice
    drawn = _Patch(
        kind=str(pick(("saw", "saw", "square", "pulse", "triangle", "organ"))),
        resonance=round(u(0, 0.8), 2),
        voices=int(pick((1, 2, 3, 5))),
        detune=u(3, 18),
        width=u(0.2, 1),
        decay=u(0.1, 0.6),
        sustain=u(0.2, 0.9),
        release=u(0.05, 0.2),
        cutoff=u(300, 3000),
        sweep=u(0, 3),
        sweep_s=u(0.05, 0.4),
        drive=u(0, 1.5),
    )
    if role in _ROLES:
        drawn = replace(drawn, **_ROLES[role](u, pick))
    drawn = replace(
        drawn,
        fm=u() < (0.3 if role in ("pluck", "lead", "bass") else 0.12),
        fm_index=u(0.5, 4),
        fm_ratio=float(pick((0.5, 1, 1, 2, 3, 3.5, 7))),
        vibrato=u(0, 25) if role == "lead" else 0.0,
    )
    if role == "punch":
        fall, fall_s = u(0, 2.5), 10 ** u(-2.2, -1.1)
        click = u(0, 0.4) * rng.integers(2) * rng.standard_normal(600)
        click *= np.exp(-np.arange(600) / 90)
        drawn = replace(drawn, fall=fall, fall_s=fall_s, click=click)
    spread = rng.uniform(-1, 1, drawn.voices) if drawn.voices > 1 else np.zeros(1)
    return replace(drawn, spread=spread, phases=rng.uniform(0, 1, drawn.voices))
