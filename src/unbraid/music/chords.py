"""Chords of a song: major and minor triads, beat by beat, from its harmony and its bass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unbraid.music.chroma import harmony_of
from unbraid.music.features import LOWEST_PITCH, PITCHES, Features
from unbraid.shapes import Float

_PITCHES = LOWEST_PITCH + np.arange(PITCHES)
_CLASSES = np.eye(12, dtype=np.float32)[_PITCHES % 12]
# Overtones of a note: so many semitones above it, with this share of its (square root) amplitude.
_OVERTONES = ((19, 0.25), (28, 0.18), (31, 0.1), (34, 0.08))
_MIDDLE, _WIDTH = 60, 20  # MIDI: where chords are, and how far around
_BASS_TOP = 50
_SEVENTH = 0.3  # a seventh is common in a chord, but not part of its name here
_FIT, _BASS, _BASS_FIFTH, _KEY = 8.0, 2.0, 0.3, 0.6
_CHANGE, _ON_BAR = 5.0, 0.2  # what a change costs; at the beginning of a bar, this much of it
_SILENCE = 0.02
_SHARP = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_FLAT = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
_FLAT_KEYS = (1, 3, 5, 8, 10)
_MAJOR_KEY = np.array([1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1.0])


@dataclass(frozen=True)
class Chord:
    """A chord that sounds from `start_s` until the next one begins.

    Attributes:
        start_s: in seconds.
        name: such as "C", "F#m" or "Bb"; "" where there is none.
    """

    start_s: float
    name: str


def find_chords(
    stems: Mapping[str, Features], times: Sequence[float], beats_in_bar: int, first: int
) -> tuple[Chord, ...]:
    """The chords of a song.

    The pitch classes of each beat are compared with those of 24 triads, the bass votes for its
    root, chords of the key are a little likelier than others, and a hidden Markov model holds a
    chord until another one fits clearly better, which it does most easily where a bar begins.

    Args:
        stems: features; drums and vocals are left out.
        times: of beats, in seconds.
        beats_in_bar, first: see `Beats`.
    Source: Fujishima, "Realtime chord recognition of musical sound", ICMC 1999 (templates); Sheh
        and Ellis, ISMIR 2003 (the model).
    """
    if len(times) < 2:
        return ()
    harmony = harmony_of(stems)
    edges = np.append(np.asarray(times), 2 * times[-1] - times[-2])
    classes, heard = _classes(harmony, edges)
    bass = _bass(stems.get("bass", harmony), edges)
    tonic = _key(classes)
    score = _FIT * classes @ _templates().T + _BASS * np.tile(bass, 2) + _KEY * _diatonic(tonic)
    # Nothing sounds: no chord fits.
    score = np.concatenate([score, np.where(heard, 0.0, 1.5 * _FIT)[:, None]], axis=1)
    bar = (np.arange(len(times)) - first) % beats_in_bar == 0
    path = _path(score, np.where(bar, _ON_BAR, 1.0) * _CHANGE)
    names = _names(_FLAT if tonic in _FLAT_KEYS else _SHARP)
    begins = np.flatnonzero(np.diff(path, prepend=-1))
    return tuple(Chord(float(edges[beat]), names[path[beat]]) for beat in begins)


def _classes(harmony: Features, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pitch classes of each beat, of norm 1, and whether anything is heard in it."""
    tones = np.sqrt(harmony.pitches.astype(np.float32))
    bare = tones.copy()
    for above, share in _OVERTONES:
        bare[:, above:] -= share * tones[:, :-above]
    weights = np.exp(-0.5 * ((_PITCHES - _MIDDLE) / _WIDTH) ** 2)
    classes = _means((np.maximum(bare, 0) * weights) @ _CLASSES, harmony.pitch_rate, edges)
    norms = np.linalg.norm(classes, axis=1, keepdims=True)
    loud = _means(np.square(tones).sum(axis=1, keepdims=True), harmony.pitch_rate, edges)[:, 0]
    heard = loud > _SILENCE * max(float(loud.max(initial=0)), 1e-6)
    return classes / (norms + 1e-3 * norms.max(initial=0) + 1e-9), heard


def _bass(stem: Features, edges: np.ndarray) -> np.ndarray:
    """How much each pitch class is the root, says the bass; (beats, 12)."""
    low = np.sqrt(stem.pitches.astype(np.float32)) * (_PITCHES <= _BASS_TOP)
    bass = _means(low @ _CLASSES, stem.pitch_rate, edges)
    total = bass.sum(axis=1, keepdims=True)
    shares = bass / (total + 1e-2 * bass.max(initial=0) + 1e-9)
    voted: np.ndarray = shares + _BASS_FIFTH * np.roll(shares, -7, axis=1)
    return voted


def _means(frames: np.ndarray, rate: float, edges: np.ndarray) -> np.ndarray:
    sums = np.concatenate([np.zeros((1, frames.shape[1])), np.cumsum(frames, axis=0)])
    at = np.clip(np.rint(edges * rate).astype(int), 0, len(frames))
    means: np.ndarray = (sums[at[1:]] - sums[at[:-1]]) / np.maximum(1, np.diff(at))[:, None]
    return means


def _templates() -> Float[np.ndarray, "24 12"]:
    rows = []
    for third in (4, 3):
        row = np.zeros(12)
        row[[0, third, 7]] = 1.0
        row[7 + third] = _SEVENTH  # major seventh over major, minor over minor
        rows += [np.roll(row / np.linalg.norm(row), root) for root in range(12)]
    return np.array(rows)


def _key(classes: np.ndarray) -> int:
    """The major key, as a pitch class, whose scale has most of what sounds."""
    total = classes.sum(axis=0)
    return int(np.argmax([total @ np.roll(_MAJOR_KEY, tonic) for tonic in range(12)]))


def _diatonic(tonic: int) -> np.ndarray:
    """1 for the six triads of a major key, major ones first."""
    inside = np.zeros(24)
    inside[[(tonic + step) % 12 for step in (0, 5, 7)]] = 1.0
    inside[[12 + (tonic + step) % 12 for step in (2, 4, 9)]] = 1.0
    return inside


def _path(score: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """The best sequence of states, when entering another one at a beat costs this much."""
    best, back = score[0].copy(), []
    states = np.arange(score.shape[1])
    for row, cost in zip(score[1:], costs[1:], strict=True):
        top = int(best.argmax())
        changes = best < best[top] - cost
        back.append(np.where(changes, top, states))
        best = np.where(changes, best[top] - cost, best) + row
    path = [int(best.argmax())]
    for came in back[::-1]:
        path.append(int(came[path[-1]]))
    return np.array(path[::-1])


def _names(roots: Sequence[str]) -> list[str]:
    return [*roots, *(f"{root}m" for root in roots), ""]
