"""Bass lines and guitar riffs, as lists of strokes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from studies.quartet.sampler import Stroke
from unbraid.songs.compose import Plan

BASS_KINDS = {
    "punk": ("eighths", "eighths", "unison", "kick", "octaves"),
    "metal": ("unison", "unison", "eighths", "kick", "gallop"),
    "rock": ("eighths", "unison", "kick", "fifths", "long", "melodic"),
    "pop": ("fifths", "kick", "octaves", "eighths", "melodic", "long"),
    "country": ("two", "two", "walk", "fifths"),
    "funk": ("ghosts", "ghosts", "octaves", "kick"),
    "ballad": ("long", "fifths", "melodic", "two"),
    "midi": ("walk", "walk", "two", "ghosts", "sparse", "melodic"),
}
RIFF_ROWS = {  # x: muted low string, o: open chord or another note, -: goes on, .: silence
    "metal": ("x.xxo-x.xxx.o-o-", "xxxxxxxxo---xxxx", "x..xx..xo---x.x.", "o---x.x.o---xxxx",
              "x.x.x.x.o-o-o---", "xxx.xxx.xxx.o-o-", "o-----------x.x."),
    "punk": ("o-o-o-o-o-o-o-o-", "x.x.o-x.x.o-x.x.", "o-o-o---o-o-o---", "o---o-o-o-o-o-o-"),
    "rock": ("o-----x.o---x.x.", "x.x.o---x.x.o-o-", "o---o-o-....o-o-", "o--o--o-x.x.o---",
             "x.x.x.x.x.x.o-o-", "o---------------"),
}  # fmt: skip


Hit = tuple[int, int, int, bool, float]
"""Place and length in sixteenths of a bar, pitch, whether it is a ghost note, slide."""
EIGHTHS = tuple(range(0, 16, 2))


FIFTHS = (  # tone: 0 root, 1 fifth, 2 octave
    ((0, 6, 0), (6, 2, 0), (8, 4, 1), (12, 4, 2)),
    ((0, 8, 0), (8, 6, 1), (14, 2, 0)),
    ((0, 3, 0), (3, 3, 0), (6, 2, 1), (8, 6, 0), (14, 2, 2)),
)


def into(pitch: int, low: int) -> int:
    """The pitch, moved by octaves into the octave above `low`."""
    return low + (pitch - low) % 12


def hand(rng, late: float = 0.006) -> float:
    return float(rng.normal(0, late))


def riff(rng, plan: Plan, bars: Sequence[int], style: str, low: int) -> list[Stroke]:
    """Root notes of a riff of power chords and palm-muted notes, low string `low`."""
    rows = RIFF_ROWS.get(style, RIFF_ROWS["rock"])
    step, strokes = plan.bar_s / 16, []
    pair = [rows[i] for i in rng.integers(len(rows), size=2)]
    steps = rng.choice((0, 0, 3, 5, 7, 8, 10, 1 if style == "metal" else 2), size=8)
    pedal = rng.random() < (0.5 if style == "metal" else 0.15)
    for bar in bars:
        row = pair[1 if bar % 4 == 3 else 0]
        root = into(plan.pitch(plan.degree(bar) % 7, 2), low)
        ground = into(plan.pitch(0, 2), low) if pedal else root
        place = 0
        while place < 16:
            mark, end = row[place], place + 1
            while end < 16 and row[end] == "-":
                end += 1
            if mark in "xo":
                muted = mark == "x"
                pitch = ground if muted else root + (int(steps[place // 2]) if pedal else 0)
                length = (end - place) * step * (0.6 if muted else 0.97)
                velocity = int(np.clip(rng.normal(90 if muted else 104, 9), 30, 127))
                start = max(0.0, bar * plan.bar_s + place * step + hand(rng, 0.003))
                strokes.append(Stroke(start, length, pitch, velocity, muted))
            place = end
    return strokes


def below(strokes: Sequence[Stroke], rng, low: int) -> list[Stroke]:
    """The bass that plays the riff an octave below, as near in time as players are."""
    late, gate = rng.normal(0, 0.004), rng.uniform(0.7, 1.0)
    return [
        s._replace(
            start=max(0.0, s.start + late + hand(rng, 0.005)),
            pitch=s.pitch - 12 + 12 * (s.pitch - 12 < low),
            length=s.length * gate * (1.4 if s.muted else 1.0),
            muted=False,
        )
        for s in strokes
    ]


def walk(rng, plan: Plan, bar: int, low: int) -> list[Hit]:
    """Four notes towards the next bar's root, the last a semitone or a step away."""
    root = into(plan.pitch(plan.degree(bar) % 7, 1), low)
    after = into(plan.pitch(plan.degree(bar + 1) % 7, 1), low)
    tones = [root, *(root + int(t) for t in rng.permutation((3 + (rng.random() < 0.5), 7, 12))[:2])]
    tones.append(after + int(rng.choice((-1, 1, 2, -2))))
    return [(4 * i, 4, p, False, 0.0) for i, p in enumerate(tones)]


def hits(rng, plan: Plan, bar: int, kind: str, low: int, kicks: Sequence[float]) -> list[Hit]:
    """One bar of a kind of line."""
    root = into(plan.pitch(plan.degree(bar) % 7, 1), low)
    fifth, octave = root + 7 if rng.random() < 0.6 else root - 5, root + 12
    fifth += 12 * (fifth < low - 2)
    if kind == "walk":
        return walk(rng, plan, bar, low)
    if kind == "ghosts":
        return ghosts(rng, (root, root, octave, fifth, root + 10))
    if kind == "melodic":
        return melodic(rng, root)
    if kind == "kick":
        return with_kicks(rng, plan, bar, kicks, root, fifth)
    rows = {
        "eighths": [(i, 2, root) for i in EIGHTHS],
        "gallop": [(i + j, n, root) for i in (0, 4, 8, 12) for j, n in ((0, 2), (2, 1), (3, 1))],
        "octaves": [(i, 2, octave if i % 4 == 2 else root) for i in EIGHTHS],
        "two": [(0, 7, root), (8, 7, fifth)],
        "sparse": [(3, 3, root), (6, 3, root), (10, 3, fifth)],
        "long": [(0, 16, root)] if rng.random() < 0.6 else [(0, 8, root), (8, 8, fifth)],
    }
    if kind == "fifths":
        row = FIFTHS[rng.integers(len(FIFTHS))]
        rows["fifths"] = [(at, n, (root, fifth, octave)[tone]) for at, n, tone in row]
    row = rows[kind]
    if kind == "eighths" and rng.random() < 0.3:
        row[-2:] = [(12, 2, fifth), (14, 2, root - 2)]
    slides = kind == "long" and rng.random() < 0.3
    slide = float(rng.choice((-2, -12, -5))) if slides else 0.0
    return [(at, n, pitch, False, slide if at == 0 else 0.0) for at, n, pitch in row]


def ghosts(rng, pitches: Sequence[int]) -> list[Hit]:
    """Sixteenths of which some are notes and some only thuds."""
    row: list[Hit] = []
    for place in range(16):
        draw = rng.random()
        if place == 0 or draw < 0.25:
            row.append((place, 2, int(rng.choice(pitches)), False, 0.0))
        elif draw < 0.55:
            row.append((place, 1, pitches[0], True, 0.0))
    return row


def melodic(rng, root: int) -> list[Hit]:
    """Notes of a scale on the root, some of them slid to."""
    row, place = [], 0
    while place < 16:
        size = int(rng.choice((2, 2, 4, 4, 6)))
        pitch = root if place == 0 else root + int(rng.choice((0, 3, 5, 7, 10, 12, 14)))
        slide = float(rng.choice((-2, 2, -5))) if rng.random() < 0.2 else 0.0
        row.append((place, min(size, 16 - place), pitch, False, slide))
        place += size
    return row


def with_kicks(rng, plan: Plan, bar: int, kicks, root: int, fifth: int) -> list[Hit]:
    """A note with every kick, held to the next."""
    sixteenths = (np.asarray(kicks) - bar * plan.bar_s) / (plan.bar_s / 16)
    places = sorted({round(float(p)) for p in sixteenths if -0.5 < p < 15.5}) or [0]
    return [
        (place, end - place, root if rng.random() < 0.85 else fifth, False, 0.0)
        for place, end in zip(places, [*places[1:], 16], strict=True)
    ]


def bass_line(rng, plan: Plan, bars: Sequence[int], style: str, kicks, low: int) -> list[Stroke]:
    """A line of one kind, another in every fourth bar now and then."""
    kinds = [k for k in BASS_KINDS[style] if k != "unison"]
    kind, fill = str(rng.choice(kinds)), str(rng.choice(("melodic", "walk", "eighths")))
    fills, gate, late = rng.random() < 0.4, rng.uniform(0.65, 1.0), rng.normal(0, 0.005)
    step, strokes = plan.bar_s / 16, []
    for bar in bars:
        now = fill if fills and bar % 4 == 3 else kind
        for place, size, pitch, ghost, slide in hits(rng, plan, bar, now, low, kicks):
            start = max(0.0, bar * plan.bar_s + place * step + late + hand(rng))
            loud = rng.normal(45, 8) if ghost else rng.normal(96 + 8 * (place % 4 == 0), 10)
            length = 0.06 if ghost else max(0.06, size * step * gate)
            while pitch > 57:
                pitch -= 12
            strokes.append(
                Stroke(start, length, pitch, int(np.clip(loud, 20, 127)), ghost, slide)
            )  # fmt: skip
    return strokes
