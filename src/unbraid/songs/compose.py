"""Notes: chords, bass lines, arpeggios, melodies and drum patterns; MIDI files."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import mido
import numpy as np

from unbraid.audio.container import shown
from unbraid.errors import SettingsError
from unbraid.songs.notes import Note

Scale = tuple[int, ...]
Pattern = tuple[tuple[int, int, int], ...]

MINOR, MAJOR = (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 5, 7, 9, 11)
LOOPS: Mapping[Scale, tuple[tuple[int, ...], ...]] = {
    MINOR: ((0, 5, 2, 6), (0, 6, 5, 6), (0, 3, 5, 4), (0, 0, 5, 5), (0, 2, 3, 5), (0, 0, 0, 0)),
    MAJOR: ((0, 4, 5, 3), (0, 5, 3, 4), (0, 3, 0, 4), (3, 4, 5, 5), (0, 2, 3, 4), (1, 4, 0, 0)),
}


class Plan(NamedTuple):
    """What all the parts of one song share.

    Attributes:
        tempo: beats in a minute; four make a bar.
        bars: how many.
        root: pitch class of the key, 0 for C.
        scale: semitones of its seven degrees.
        loop: scale degree of the chord of each bar, repeated.
    """

    tempo: float
    bars: int
    root: int
    scale: Scale
    loop: tuple[int, ...]

    @property
    def bar_s(self) -> float:
        """Length of a bar in seconds."""
        return 240 / self.tempo

    def pitch(self, degree: int, octave: int) -> int:
        """MIDI pitch of a scale degree (any integer) in an octave (4 holds middle C)."""
        return 12 * (octave + 1) + self.root + 12 * (degree // 7) + self.scale[degree % 7]

    def degree(self, bar: int) -> int:
        """Scale degree of the chord of a bar."""
        return self.loop[bar % len(self.loop)]


def make_plan(rng: np.random.Generator, tempo: float, seconds: float) -> Plan:
    """A key and a loop of chords for a song of about `seconds`."""
    scale = MINOR if rng.random() < 0.65 else MAJOR
    loop = LOOPS[scale][rng.integers(len(LOOPS[scale]))]
    if rng.random() < 0.3:
        loop = tuple(degree for degree in loop for _ in range(2))
    return Plan(tempo, int(np.ceil(seconds * tempo / 240)), int(rng.integers(12)), scale, loop)


def active_bars(rng: np.random.Generator, plan: Plan, share: float) -> list[int]:
    """Which bars a part plays in: sections of 4 or 8 bars, each on with the given probability."""
    size = int(rng.choice((4, 8)))
    on = np.repeat(rng.random(plan.bars // size + 1) < share, size)[: plan.bars]
    if not on.any():
        on[plan.bars // 2 :] = True
    return [int(bar) for bar in np.flatnonzero(on)]


BASS_PATTERNS: tuple[Pattern, ...] = (  # (start, length, degree step) in sixteenths
    tuple((i, 2, 0) for i in range(0, 16, 2)),
    tuple((i, 2, 7 * (i % 4 == 2)) for i in range(0, 16, 2)),
    tuple((i, 2, 0) for i in range(2, 16, 4)),
    ((0, 16, 0),),
    ((0, 12, 0), (12, 4, 4)),
    ((0, 3, 0), (3, 3, 0), (6, 4, 0), (10, 2, 7), (12, 2, 4), (14, 2, 0)),
    ((0, 6, 0), (6, 4, 0), (12, 2, -1), (14, 2, 0)),
    tuple((i, 4, step) for i, step in zip(range(0, 16, 4), (0, 2, 4, 6), strict=True)),
    tuple((i, 1, 7 * (i in (3, 7, 14))) for i in range(16) if i % 4),
    ((0, 2, 0), (4, 2, 0), (7, 1, 7), (8, 2, 0), (11, 2, 4), (14, 2, 6)),
)


def bass_line(
    rng: np.random.Generator,
    plan: Plan,
    bars: Sequence[int],
    octave: int,
    sustained: bool = False,
) -> list[Note]:
    """Roots, fifths and octaves of the chords in one pattern (a second one every fourth bar)."""
    step, notes = plan.bar_s / 16, list[Note]()
    picks = rng.integers(len(BASS_PATTERNS), size=2)
    gate = rng.uniform(0.6, 1.0)
    for bar in bars:
        pattern = BASS_PATTERNS[3 if sustained else picks[1 if bar % 4 == 3 else 0]]
        for start, length, degree in pattern:
            pitch = plan.pitch(plan.degree(bar) % 7 + degree, octave)
            while pitch > 55:
                pitch -= 12
            velocity = int(rng.integers(80, 120))
            notes.append(
                Note(bar * plan.bar_s + start * step, length * step * gate, pitch, velocity)
            )
    return notes


def loose_line(
    rng: np.random.Generator, plan: Plan, bars: Sequence[int], octave: int
) -> list[Note]:
    """Roots, octaves and fifths as a player feels them: short and long notes, rests, no pattern."""
    step, notes = plan.bar_s / 16, list[Note]()
    rest, longest = rng.uniform(0, 0.5), int(rng.choice((4, 6, 10)))
    for bar in bars:
        at = 0
        while at < 16:
            length = int(rng.integers(1, longest))
            if rng.random() > rest:
                pitch = plan.pitch(plan.degree(bar) % 7 + int(rng.choice((0, 0, 0, 4, 7))), octave)
                seconds = length * step * rng.uniform(0.3, 1)
                start = bar * plan.bar_s + (at + rng.normal(0, 0.05)) * step
                notes.append(Note(max(0.0, start), seconds, pitch, int(rng.integers(70, 125))))
            at += length
    return notes


def mono_line(rng: np.random.Generator, plan: Plan, bars: Sequence[int], octave: int) -> list[Note]:
    """Long notes with short jumps between them, mostly by octaves, nearly without gaps."""
    step, notes = plan.bar_s / 16, list[Note]()
    rest, short, gate = rng.uniform(0, 0.35), rng.uniform(0.2, 0.8), rng.uniform(0.7, 1.02)
    for bar in bars:
        at = 0
        while at < 16:
            length = int(rng.choice((1, 1, 2) if rng.random() < short else (3, 4, 6, 8, 12)))
            if rng.random() > rest:
                degree = plan.degree(bar) % 7 + int(rng.choice((0, 0, 0, 0, 7, 7, -7, 4, 2)))
                start, velocity = bar * plan.bar_s + at * step, int(rng.integers(60, 127))
                pitch = max(22, plan.pitch(degree, octave))
                notes.append(Note(start, length * step * gate, pitch, velocity))
            at += length
    return notes


def chord(plan: Plan, bar: int, octave: int, size: int) -> list[int]:
    """Pitches of the chord of a bar: thirds, `size` of them, from its root up."""
    root = plan.degree(bar) % 7
    return [plan.pitch(root + step, octave) for step in (0, 2, 4, 6, 8)[:size]]


RHYTHMS: tuple[tuple[int, ...], ...] = (
    (0,),
    (0, 8),
    (0, 3, 6, 10, 12),
    (2, 6, 10, 14),
    (0, 4, 8, 12),
    (0, 6, 12),
    tuple(range(0, 16, 2)),
)


def chords(
    rng: np.random.Generator,
    plan: Plan,
    bars: Sequence[int],
    held: bool,
    strum_s: float = 0.0,
) -> list[Note]:
    """Triads to ninths, held or in a rhythm; strummed for guitars."""
    step, octave, size = (
        plan.bar_s / 16,
        int(rng.choice((2, 3, 3, 4, 4))),
        int(rng.choice((3, 3, 4, 5))),
    )
    rhythm = (0,) if held else RHYTHMS[rng.integers(len(RHYTHMS))]
    notes = []
    for bar in bars:
        for i, start in enumerate(rhythm):
            end = rhythm[i + 1] if i + 1 < len(rhythm) else 16
            length = (end - start) * step * (1 if held else 0.8)
            for n, pitch in enumerate(chord(plan, bar, octave, size)):
                at = bar * plan.bar_s + start * step + n * strum_s
                notes.append(Note(at, length, pitch, int(rng.integers(60, 110))))
    return notes


def arpeggio(rng: np.random.Generator, plan: Plan, bars: Sequence[int]) -> list[Note]:
    """The notes of the chords one after the other, in a figure that repeats."""
    step = plan.bar_s / int(rng.choice((8, 16, 16)))
    order = rng.integers(0, 8, size=int(rng.choice((4, 6, 8, 16))))
    octave, gate = int(rng.choice((3, 4, 5))), rng.uniform(0.3, 1.2)
    notes: list[Note] = []
    for bar in bars:
        tones = chord(plan, bar, octave, 4) + chord(plan, bar, octave + 1, 4)
        for i in range(round(plan.bar_s / step)):
            pitch = tones[order[i % len(order)]]
            notes.append(
                Note(bar * plan.bar_s + i * step, step * gate, pitch, int(rng.integers(60, 115)))
            )
    return notes


def melody(
    rng: np.random.Generator, plan: Plan, bars: Sequence[int], low: int = 57, high: int = 81
) -> list[Note]:
    """A wandering tune in phrases; the same two-bar phrases return."""
    phrases = []
    for _ in range(3):
        degree, at, phrase = int(rng.integers(0, 7)), 0, list[tuple[int, int, int]]()
        while at < 28:
            length = int(rng.choice((2, 2, 4, 4, 6, 8)))
            if rng.random() < 0.8:
                phrase.append((at, length, degree))
            degree += int(rng.integers(-2, 3))
            at += length
        phrases.append(phrase)
    step, notes = plan.bar_s / 16, list[Note]()
    for bar in bars[::2]:
        for at, length, degree in phrases[bar // 2 % 3]:
            pitch = plan.pitch(degree, 4)
            pitch += 12 * (pitch < low) - 12 * (pitch > high)
            start = bar * plan.bar_s + at * step
            notes.append(Note(start, length * step * 0.9, pitch, int(rng.integers(70, 115))))
    return notes


KICKS = (
    "x...x...x...x...",
    "x.....x...x.....",
    "x..x..x...x..x..",
    "x.......x.......",
    "x.x.......xx....",
    "x.........x..x..",
)
SNARES = (
    "....x.......x...",
    "....x..x.x..x...",
    "........x.......",
    "....x.......x.x.",
    "....x.......x..x",
)
HATS = (
    "x.x.x.x.x.x.x.x.",
    "xxxxxxxxxxxxxxxx",
    "..x...x...x...x.",
    "x..x..x..x..x.x.",
    "x.xxx.xxx.xxx.xx",
)


def beat(rng: np.random.Generator, plan: Plan, bars: Sequence[int]) -> list[Note]:
    """A programmed sixteenth-note beat with some swing, ghost notes and fills."""
    step, swing = plan.bar_s / 16, rng.choice((0, 0, 0.08, 0.2))
    drums = [(36, KICKS), (38, SNARES), (int(rng.choice((42, 42, 42, 51))), HATS)]
    rows = [(pitch, patterns[rng.integers(len(patterns))]) for pitch, patterns in drums]
    if rng.random() < 0.4:
        rows.append((46, "..x...x...x...x." if rng.random() < 0.5 else "..............x."))
    if rng.random() < 0.3:
        rows.append((39, "....x.......x..."))
    notes = []
    for bar in bars:
        at = bar * plan.bar_s
        if bar % 8 == 0 and rng.random() < 0.6:
            notes.append(Note(at, 1, 49, 100))
        for pitch, row in rows:
            for i, mark in enumerate(row):
                ghost = pitch in (38, 42) and rng.random() < 0.04
                if mark == "x" or ghost:
                    late = (i % 2) * swing * step
                    loud = 40 if ghost else 95 + 20 * (i % 4 == 0)
                    notes.append(
                        Note(at + i * step + late, 0.1, pitch, loud + int(rng.integers(-8, 9)))
                    )
        if bar % 8 == 7 and rng.random() < 0.6:
            for i in range(8, 16):
                pitch = int(rng.choice((38, 41, 45, 47, 48)))
                notes.append(Note(at + i * step, 0.1, pitch, int(rng.integers(70, 120))))
    return notes


def midi_parts(path: str | Path) -> dict[tuple[int, int], list[Note]]:
    """The notes of a MIDI file by (channel, program), tempo changes obeyed; channel 9 is drums.

    Raises:
        SettingsError: if it is not a MIDI file.
    """
    try:
        messages = list(mido.MidiFile(path, clip=True))
    except (OSError, EOFError, ValueError, KeyError, IndexError, TypeError) as error:
        raise SettingsError(f"{shown(Path(path))} is not a readable MIDI file") from error
    now, programs = 0.0, dict[int, int]()
    sounding: dict[tuple[int, int], tuple[float, int]] = {}
    parts: dict[tuple[int, int], list[Note]] = {}
    for message in messages:
        now += message.time
        if message.type == "program_change":
            programs[message.channel] = message.program
        elif message.type in ("note_on", "note_off"):
            key = (message.channel, message.note)
            if key in sounding:
                start, velocity = sounding.pop(key)
                part = (message.channel, programs.get(message.channel, 0))
                note = Note(start, now - start, message.note, velocity)
                parts.setdefault(part, []).append(note)
            if message.type == "note_on" and message.velocity:
                sounding[key] = (now, message.velocity)
    return parts


def groove_performances(
    folder: Path, splits: Sequence[str] = ("train",)
) -> list[tuple[float, str]]:
    """(tempo, path) of the beats in 4/4 that last at least 20 s, sorted.

    Args:
        folder: the Groove MIDI dataset, with its info.csv.
        splits: of its splits "train", "validation" and "test".
    """
    with (folder / "info.csv").open(newline="") as file:
        rows = [
            (float(row["bpm"]), folder / row["midi_filename"])
            for row in csv.DictReader(file)
            if row["split"] in splits
            and row["beat_type"] == "beat"
            and row["time_signature"] == "4-4"
            and float(row["duration"]) > 20
        ]
    return sorted((tempo, str(path)) for tempo, path in rows if path.exists())


def groove(path: str, tempo: float, seconds: float) -> list[Note]:
    """A drummer's performance, repeated by whole bars up to the given length."""
    notes = [note for part in midi_parts(path).values() for note in part]
    bar = 240 / tempo
    length = max(1, int(max(note.start for note in notes) / bar)) * bar
    notes = [note for note in notes if note.start < length]
    return [
        note._replace(start=note.start + turn * length)
        for turn in range(int(np.ceil(seconds / length)))
        for note in notes
    ]
