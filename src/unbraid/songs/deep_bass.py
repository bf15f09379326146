"""Deep basses: nearly nothing above 200 Hz, in the octaves that drums share."""

from __future__ import annotations

from typing import Literal

import numpy as np

from unbraid.songs import compose, patches, synth
from unbraid.songs import effects as fx
from unbraid.songs.effects import RATE
from unbraid.songs.song import Song

Line = Literal["pattern", "loose", "punch", "mono"]
LINES: tuple[Line, ...] = ("pattern", "loose", "punch", "mono")
"""Kinds of deep basses, see `make_low_end`."""

_ROLES = {
    "pattern": ("deep", "deep", "drone", "bass"),
    "loose": ("loose", "bass"),
    "punch": ("punch", "punch", "punch", "loose"),
}


def deep_bass(song: Song, line: str) -> np.ndarray:
    """Nearly nothing above 200 Hz: held or played, swelling or beating, dry or in a room."""
    rng, plan = song.rng, song.plan
    audio = np.zeros((song.samples, 2), np.float32)
    for _ in range(int(rng.choice((1, 1, 2)))):
        layer = _layer(song, line, int(rng.choice((0, 1, 1, 1, 2))))
        audio += layer * (10 ** (rng.uniform(-9, 0) / 20) / max(fx.rms(layer), 1e-6))
    if song.chance(0.3):
        audio = fx.saturate(audio, rng.uniform(0.2, 2.5))
    audio = fx.butter(audio, 10 ** rng.uniform(1.85, 2.9), "low", int(rng.integers(1, 4)))
    if song.chance(0.35):  # tremolo, free or in time
        beats = float(rng.choice((1 / 3, 0.5, 1, 2, 4)))
        rate = plan.tempo / 60 / beats if song.chance(0.6) else rng.uniform(0.2, 8)
        swing = np.sin(2 * np.pi * rate * np.arange(song.samples) / RATE + rng.uniform(0, 6.3))
        audio *= (1 - rng.uniform(0.1, 0.9) * (0.5 + 0.5 * swing))[:, None].astype(np.float32)
    if song.chance(0.4):
        held = compose.chords(rng, plan, song.bars(0.8), True)
        pad = song.play(held, patches.patch(rng, "pad"))
        audio += pad * (fx.rms(audio) / fx.rms(pad) * 10 ** (rng.uniform(-34, -14) / 20))
    if song.chance(0.3):
        audio = fx.reverb(audio, rng, rng.uniform(0.4, 2.5), rng.uniform(0, 0.4))
    return fx.compress(audio, rng.uniform(2, 5)) if song.chance(0.4) else audio


def _layer(song: Song, line: str, octave: int) -> np.ndarray:
    rng, plan = song.rng, song.plan
    if line == "mono":
        return synth.mono_synth(
            rng, compose.mono_line(rng, plan, song.bars(0.85), octave), song.samples
        )
    if line == "pattern":
        notes = compose.bass_line(rng, plan, song.bars(0.85), octave, song.chance(0.4))
    else:
        notes = compose.loose_line(rng, plan, song.bars(0.85), octave)
    notes = [note._replace(pitch=max(22, note.pitch)) for note in notes]
    return song.play(notes, patches.patch(rng, str(rng.choice(_ROLES[line]))))
