"""Phrases for vocal stems: speech as it is, and speech made to sing by the WORLD vocoder, alone
or in choirs."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from unbraid.audio.container import shown
from unbraid.errors import SettingsError
from unbraid.songs.compose import Plan
from unbraid.songs.effects import RATE, butter, pan
from unbraid.songs.notes import hertz_curve

FRAME_S = 0.005
LEAD_BEATS, CHOIR_BEATS = (0.5, 0.5, 1.0, 1.0, 1.5, 2.0), (1.0, 1.0, 2.0, 2.0, 3.0, 4.0)
CHOIR_STEPS = (0, 0, 2, 4, -3, 7, -7)  # degrees of the scale above the tune


def can_sing() -> bool:
    """Whether pyworld is there."""
    return importlib.util.find_spec("pyworld") is not None


def _world() -> Any:
    if "pyworld" in sys.modules or "pkg_resources" in sys.modules:
        return importlib.import_module("pyworld")
    # pyworld asks it only for its own version; newer Pythons come without it.
    stand_in: Any = types.ModuleType("pkg_resources")
    stand_in.get_distribution = lambda _: types.SimpleNamespace(version="")
    sys.modules["pkg_resources"] = stand_in
    try:
        return importlib.import_module("pyworld")
    finally:
        del sys.modules["pkg_resources"]


def load(path: Path, start_s: float = 0.0, seconds: float | None = None) -> np.ndarray:
    """A stretch of a recording, (samples,) at 44.1 kHz, with a peak of 0.5.

    Raises:
        SettingsError: if the file cannot be read.
    """
    try:
        audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise SettingsError(f"{shown(path)} is not a readable voice: {error}") from error
    stop = None if seconds is None else int((start_s + seconds) * rate)
    mono = audio.mean(axis=1)[int(start_s * rate) : stop]
    mono = soxr.resample(mono, rate, RATE, quality="VHQ")
    scaled: np.ndarray = mono * (0.5 / max(1e-4, np.abs(mono).max(initial=0.0)))
    return scaled


def phrases(audio: np.ndarray, longest_s: float = 6.0) -> list[np.ndarray]:
    """Cut (samples, 2) at pauses; pieces with 10 ms fades, the room between gated away."""
    hop = RATE // 50
    frames = audio[: len(audio) // hop * hop].reshape(-1, 2 * hop)
    level = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-10)
    loud = level > np.percentile(level, 95) - 30
    loud = np.convolve(loud, np.ones(9), "same") > 0
    edges = np.flatnonzero(np.diff(np.r_[0, loud.astype(int), 0]))
    pieces = []
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        last = min(last, first + int(longest_s * 50))
        piece = audio[first * hop : last * hop].copy()
        if len(piece) > 0.3 * RATE:
            ramp = np.linspace(0, 1, 441, dtype=np.float32)[:, None]
            piece[:441] *= ramp
            piece[-441:] *= ramp[::-1]
            pieces.append(piece)
    return pieces


def lay_out(
    rng: np.random.Generator,
    pieces: Sequence[np.ndarray],
    plan: Plan,
    samples: int,
    share: float,
) -> np.ndarray:
    """Phrases on half-bar starts with rests, until about `share` of the song is filled."""
    out, at, turn = np.zeros((samples, 2), np.float32), rng.uniform(0, 8), 0
    half = plan.bar_s / 2
    while at * RATE < samples and pieces:
        piece = pieces[turn % len(pieces)]
        start = int(at * RATE)
        piece = piece[: samples - start]
        out[start : start + len(piece)] += piece
        spent = len(piece) / RATE
        rest = rng.uniform(0.1, 2 * spent * (1 - share) / max(share, 0.1) + 0.2)
        at = np.ceil((at + spent + rest) / half) * half
        turn += 1
    return out


def _note_curve(
    rng: np.random.Generator, pitch: int, previous: int | None, frames: int
) -> np.ndarray:
    """f0 of one note in Hz: a scoop or a glide at its start, vibrato later, a slow drift."""
    time = np.arange(frames) * FRAME_S
    bend = -rng.uniform(0.2, 1.5) * np.exp(-time / 0.06)
    if previous is not None and rng.random() < 0.6:
        bend = (previous - pitch) * np.exp(-time / rng.uniform(0.02, 0.05))
    depth = 0.35 * rng.uniform(0.2, 1.3) * np.clip((time - 0.25) / 0.25, 0, 1)
    vibrato = depth * np.sin(2 * np.pi * rng.uniform(5, 6) * time)
    drift = 0.15 * np.sin(2 * np.pi * rng.uniform(0.4, 1) * time + rng.uniform(0, 6))
    return hertz_curve(pitch + bend + vibrato + drift)


def _syllables(voiced: np.ndarray) -> Iterator[tuple[int, int, bool]]:
    """Spans (first, last, is_voiced) of frames; voiced islands are cut about every 0.22 s."""
    edges = np.r_[0, np.flatnonzero(np.diff(voiced.astype(int))) + 1, len(voiced)]
    for first, last in pairwise(edges):
        if voiced[first] and last - first >= 12:
            parts = max(1, round((last - first) * FRAME_S / 0.22))
            cuts = np.linspace(first, last, parts + 1).astype(int)
            yield from ((a, b, True) for a, b in pairwise(cuts))
        else:
            yield first, last, False


@dataclass(frozen=True)
class _Singing:
    """Speech sung, as WORLD has it, 5 ms a frame.

    Attributes:
        f0: pitch in Hz, 0 where there is none, (frames,).
        power, noise: spectral envelope and aperiodicity, (frames, bins).
        notes: what is sung, in turn: frames, and degree of the scale; None for a rest or a
            consonant.
        octave: of the degrees.
    """

    f0: np.ndarray
    power: np.ndarray
    noise: np.ndarray
    notes: list[tuple[int, int | None]]
    octave: int

    def sound(self, f0: np.ndarray, power: np.ndarray | None = None) -> np.ndarray:
        """At another pitch, or by another singer; (samples,)."""
        power = self.power if power is None else np.ascontiguousarray(power)
        sung = _world().synthesize(f0, power, self.noise, RATE, 1000 * FRAME_S)
        return np.asarray(sung, np.float32)


def _sing(
    rng: np.random.Generator,
    audio: np.ndarray,
    plan: Plan,
    centre: int,
    beats: tuple[float, ...] = LEAD_BEATS,
    longest_s: float = 1.6,
) -> _Singing:
    """Vowels stretched onto notes of the song's scale around MIDI pitch `centre`."""
    pyworld = _world()
    audio = audio.astype(np.float64)
    f0, times = pyworld.dio(audio, RATE, f0_floor=70, f0_ceil=500, frame_period=1000 * FRAME_S)
    f0 = pyworld.stonemask(audio, f0, times, RATE)
    power = pyworld.cheaptrick(audio, f0, times, RATE)
    noise = pyworld.d4c(audio, f0, times, RATE)
    power, noise = _brighten(rng, power, noise)
    index: list[np.ndarray] = []
    pitches: list[np.ndarray] = []
    notes: list[tuple[int, int | None]] = []
    octave = round((centre - plan.pitch(3, 0)) / 12)
    degree, beat = int(rng.integers(0, 7)), 60 / plan.tempo
    previous: int | None = None
    for first, last, voiced in _syllables(f0 > 0):
        if not voiced:
            index.append(np.arange(first, last))
            pitches.append(np.zeros(last - first))
            notes.append((int(last - first), None))
            continue
        length = beat * float(rng.choice(beats))
        frames = max(int(last - first), int(min(length, longest_s) / FRAME_S))
        index.append(np.linspace(first, last - 1, frames).round().astype(int))
        degree = int(np.clip(degree + rng.integers(-2, 3), -3, 9))
        pitch = plan.pitch(degree, octave)
        pitches.append(_note_curve(rng, pitch, previous, frames))
        notes.append((frames, degree))
        previous = pitch
    chosen = np.concatenate(index)
    return _Singing(
        np.concatenate(pitches),
        np.ascontiguousarray(power[chosen]),
        np.ascontiguousarray(noise[chosen]),
        notes,
        octave,
    )


def _brighten(
    rng: np.random.Generator, power: np.ndarray, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Another singer (frequency axis warped), and a treble that speech at 22 kHz does not have."""
    bins = np.arange(power.shape[1])
    ratio = rng.uniform(0.84, 1.15)
    power, noise = np.exp(_warped(np.log(power), ratio)), _warped(noise, ratio)
    hz = bins * RATE / 2 / bins[-1]
    edge = int(np.searchsorted(hz, 8000))
    fill = power[:, edge - 40 : edge].mean(axis=1, keepdims=True) * (hz[edge:] / 8000) ** -2
    power[:, edge:] = fill
    noise[:, edge:] = 1
    total = power.sum()
    share = power[:, hz > 5000].sum() / total
    lift = np.clip(10 ** (-1.9) / share, 1, 30)
    power *= 1 + (lift - 1) * np.clip((hz - 3000) / 2500, 0, 1)
    return power, noise


def _warped(spectra: np.ndarray, ratio: float) -> np.ndarray:
    """(frames, bins) with the frequency axis stretched: formants of a head of another size."""
    last = spectra.shape[1] - 1
    at = np.clip(np.arange(last + 1) * ratio, 0, last)
    low, mix = at.astype(int), at % 1
    high = np.minimum(low + 1, last)
    moved: np.ndarray = spectra[:, low] * (1 - mix) + spectra[:, high] * mix
    return moved


def sung_phrases(
    rng: np.random.Generator, audio: np.ndarray, plan: Plan, centre: int
) -> np.ndarray:
    """Speech turned to song, (samples, 2), sometimes with a double and a third above.

    Args:
        rng: of the melody, the singer and the doubles.
        audio: speech, (samples,).
        plan: tempo and scale.
        centre: MIDI pitch around which it is sung.
    Source: WORLD vocoder: Morise et al., IEICE Trans. 2016.
    """
    singing = _sing(rng, audio, plan, centre)
    lead = singing.sound(singing.f0)
    layers = [pan(lead, rng.uniform(-0.15, 0.15))]
    doubles = int(rng.choice((0, 0, 1, 2)))
    for side in (-1, 1)[:doubles]:
        interval = float(rng.choice((0, 0, 4, 3, 12)))
        shifted = singing.f0 * 2 ** ((interval + rng.uniform(-0.08, 0.08)) / 12)
        voice = singing.sound(shifted)
        late = int(rng.uniform(0.01, 0.03) * RATE)
        voice = np.roll(voice, late)
        layers.append(pan(voice, side * rng.uniform(0.3, 0.9)) * rng.uniform(0.3, 0.7))
    total: np.ndarray = sum(layers[1:], layers[0])
    return total


def choir_phrases(
    rng: np.random.Generator, audio: np.ndarray, plan: Plan, centre: int
) -> np.ndarray:
    """Speech turned to a choir of four to nine, (samples, 2).

    All sing the same words, in parts that lie thirds, fourths, fifths and octaves apart in the
    song's scale; each has its own head size, vibrato and drift, is slightly late and out of
    tune, and has its own position in the panorama.

    Args:
        rng, audio, plan, centre: as for `sung_phrases`.
    """
    singing = _sing(rng, audio, plan, centre, CHOIR_BEATS, longest_s=3.0)
    spectra = np.log(singing.power)
    layers = []
    for _ in range(int(rng.integers(4, 10))):
        step = int(rng.choice(CHOIR_STEPS))
        f0 = _part(rng, singing, plan, step) * 2 ** (rng.normal(0, 0.08) / 12)
        voice = singing.sound(f0, np.exp(_warped(spectra, rng.uniform(0.85, 1.2))))
        voice = np.roll(voice, int(rng.uniform(0, 0.06) * RATE))
        layers.append(pan(voice, rng.uniform(-0.9, 0.9)) * np.float32(rng.uniform(0.4, 1)))
    total: np.ndarray = sum(layers[1:], layers[0])
    return total


def _part(rng: np.random.Generator, singing: _Singing, plan: Plan, step: int) -> np.ndarray:
    """The tune some degrees of the scale higher, in Hz (frames,), sung by a second voice."""
    curves: list[np.ndarray] = []
    previous: int | None = None
    for frames, degree in singing.notes:
        if degree is None:
            curves.append(np.zeros(frames))
            continue
        pitch = plan.pitch(degree + step, singing.octave)
        curves.append(_note_curve(rng, pitch, previous, frames))
        previous = pitch
    return np.concatenate(curves)


def stereo(mono: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A voice without rumble, somewhere near the middle; (samples, 2)."""
    return pan(butter(mono, 90, "high"), rng.uniform(-0.2, 0.2))
