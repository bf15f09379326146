"""What all parts of a made-up band's song share: style, tempo, key, instruments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import signal

from unbraid.songs import compose, soundfont
from unbraid.songs.effects import RATE
from unbraid.songs.ingredients import Ingredients

FONTS = [
    Path("/usr/share/sounds/sf2/FluidR3_GM.sf2"),
    Path("/usr/share/sounds/sf2/MuseScore_General_Full.sf2"),
]
STYLES = ("punk", "rock", "pop", "metal", "country", "funk", "ballad", "midi")


class Band:
    """One song before anything is played.

    Args:
        seed: of everything.
        ingredients: instruments, drummers' performances, pieces.
        seconds: length.
    """

    def __init__(self, seed: Sequence[int], ingredients: Ingredients, seconds: float) -> None:
        self.rng = rng = np.random.default_rng(seed)
        self.ing, self.seconds, self.samples = ingredients, seconds, int(seconds * RATE)
        self.style = str(rng.choice(STYLES, p=(0.15, 0.2, 0.14, 0.15, 0.1, 0.08, 0.08, 0.1)))
        low, high = {
            "punk": (150, 215),
            "metal": (110, 210),
            "country": (90, 190),
            "ballad": (60, 90),
            "funk": (85, 120),
        }.get(self.style, (85, 160))
        tempo = float(rng.uniform(low, high))
        self.take = None
        if rng.random() < (0.3 if self.style in ("punk", "metal") else 0.75):
            near = [p for p in ingredients.performances if low * 0.85 < p[0] < high * 1.15]
            if near:
                tempo, self.take = near[rng.integers(len(near))]
        self.plan = compose.make_plan(rng, tempo, seconds)
        self.kicks: list[float] = []
        self.font = FONTS[rng.integers(len(FONTS))]

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def font_play(self, program, notes, room=False):
        return soundfont.play(self.font, [(program, notes)], self.samples, room)

    def peak(self, audio: np.ndarray, hz: float, db: float, q: float) -> np.ndarray:
        """A peaking equalizer on (samples, 2)."""
        b, a = peaking(hz, db, q)
        return signal.lfilter(b, a, audio, axis=0).astype(np.float32)


def peaking(hz: float, db: float, q: float) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of a peaking equalizer (Bristow-Johnson)."""
    w, gain = 2 * np.pi * hz / RATE, 10 ** (db / 40)
    alpha = np.sin(w) / (2 * q)
    b = np.array([1 + alpha * gain, -2 * np.cos(w), 1 - alpha * gain])
    a = np.array([1 + alpha / gain, -2 * np.cos(w), 1 - alpha / gain])
    return b / a[0], a / a[0]
