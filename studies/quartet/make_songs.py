"""Makes songs of bands for the drums-bass-other network: int16 .npy files (3, samples, 2).

    python -m studies.quartet.make_songs OUT --ingredients FOLDER --first 0 --count 100 --seed 11

Unlike `unbraid data songs` there is no voice, and everything is what records of rock, pop, country
and metal bands are full of: distorted guitars, double-tracked, picked and palm-muted; basses that
follow the kick; kits close or in a room; dry takes next to pressed and saturated ones.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import signal

from unbraid.data.songs import compose, soundfont, synth
from unbraid.data.songs import effects as fx
from unbraid.data.songs.effects import RATE
from unbraid.data.songs.ingredients import Ingredients, find_ingredients
from unbraid.data.songs.notes import Note

FONTS = [
    Path("/usr/share/sounds/sf2/FluidR3_GM.sf2"),
    Path("/usr/share/sounds/sf2/MuseScore_General_Full.sf2"),
]
KIT_PROGRAMS = (0, 0, 0, 8, 8, 16, 16, 24, 25, 32, 40)
STYLES = ("punk", "rock", "pop", "metal", "country", "funk", "ballad", "midi")


class Maker:
    """One song: what its parts share, and how each is played."""

    def __init__(self, seed: Sequence[int], ingredients: Ingredients, seconds: float) -> None:
        self.rng = rng = np.random.default_rng(seed)
        self.ing, self.seconds, self.samples = ingredients, seconds, int(seconds * RATE)
        self.style = str(rng.choice(STYLES, p=(0.15, 0.2, 0.14, 0.15, 0.1, 0.08, 0.08, 0.1)))
        low, high = {"punk": (150, 215), "metal": (110, 210), "country": (90, 190),
                     "ballad": (60, 90), "funk": (85, 120)}.get(self.style, (85, 160))
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

    # --- drums

    def beat(self) -> list[Note]:
        """A rock, punk or metal beat with a human hand, in steps of sixteenths."""
        rng, step = self.rng, self.plan.bar_s / 16
        kicks, snares = {
            "punk": (("x...x.x.x...x.x.", "x.x...x.x.x...x.", "x...x...x...x..."), ("..x...x...x...x.", "....x.......x...")),
            "metal": (("xxxxxxxxxxxxxxxx", "x.xxx.xxx.xxx.xx", "x..x..x.x..x..x.", "x.x.x.x.x.x.x.x."), ("....x.......x...", "..x...x...x...x.", "........x.......")),
        }.get(self.style, (compose.KICKS, compose.SNARES[:3]))
        kick, snare = kicks[rng.integers(len(kicks))], snares[rng.integers(len(snares))]
        other = kicks[rng.integers(len(kicks))]
        cymbal = int(rng.choice((42, 42, 46, 51, 49)))
        hats = "x.x.x.x.x.x.x.x." if self.chance(0.6) else "x...x...x...x..."
        late, notes = rng.uniform(0.002, 0.012), []
        for bar in range(self.plan.bars):
            at = bar * self.plan.bar_s
            rows = [(36, kick if bar % 2 == 0 else other, 105), (38, snare, 108), (cymbal, hats, 85)]
            if bar % 4 == 0:
                rows.append((int(rng.choice((49, 57))), "x...............", 110))
            for pitch, row, loud in rows:
                for i, mark in enumerate(row):
                    if mark == "x" and not (bar % 8 == 7 and i >= 8 and pitch in (36, 38) and self.style != "punk"):
                        hit = int(np.clip(loud + rng.normal(0, 8), 20, 127))
                        notes.append(Note(max(0.0, at + i * step + rng.normal(0, late)), 0.1, pitch, hit))
            if bar % 8 == 7:
                for i in range(8, 16):
                    pitch = int(rng.choice((38, 38, 48, 47, 45, 43, 41)))
                    notes.append(Note(at + i * step, 0.1, pitch, int(rng.integers(80, 125))))
        return notes

    def kit(self, notes: Sequence[Note]) -> np.ndarray:
        """Played piece by piece, so that each has a level and a colour of its own."""
        rng, draw = self.rng, self.rng.random()
        groups: dict[str, list[Note]] = {}
        for note in notes:
            name = "kick" if note.pitch in (35, 36) else "snare" if note.pitch in (37, 38, 39, 40) else "toms" if note.pitch in (41, 43, 45, 47, 48, 50) else "metal"
            groups.setdefault(name, []).append(note)
        kits = self.ing.kits
        names = [n for n in kits if not n.startswith("sonic")]
        sonic = [n for n in kits if n.startswith("sonic")]
        if draw < 0.45:
            font = self.font
            program = int(rng.choice(KIT_PROGRAMS))

            def play(part):
                return _font_kit(font, program, part, self.samples)
        else:
            pick = "sonic" if draw > 0.85 and sonic else names[0] if draw < 0.78 else names[-1]
            kit = kits[sonic[rng.integers(len(sonic))] if pick == "sonic" else pick]
            voice = synth.sampled_kit(kit, rng.uniform(0.85, 1.15))

            def play(part):
                return synth.render(part, voice, self.samples)
        out = np.zeros((self.samples, 2), np.float32)
        for name, part in groups.items():
            audio = play(part)
            if name == "kick":
                audio = fx.butter(audio, rng.uniform(1500, 9000), "low", 1)
                if self.chance(0.4):
                    audio = self.peak(audio, rng.uniform(45, 100), rng.uniform(-4, 7), 1.0)
                if self.chance(0.4):
                    audio = self.peak(audio, rng.uniform(2000, 5000), rng.uniform(0, 8), 1.0)
            elif name == "snare":
                audio = self.peak(audio, rng.uniform(150, 400), rng.uniform(-4, 6), 1.0)
            elif name == "metal":
                audio = fx.butter(audio, rng.uniform(150, 600), "high", 1)
            out += audio * np.float32(10 ** (rng.normal(-3 if name == "metal" else 0, 2.5) / 20))
        return out

    def peak(self, audio, hz, db, q):
        b, a = _peak(hz, db, q)
        return signal.lfilter(b, a, audio, axis=0).astype(np.float32)

    def drums(self, notes=None) -> np.ndarray:
        if notes is None:
            notes = compose.groove(self.take, self.plan.tempo, self.seconds) if self.take else self.beat()
            if self.chance(0.4):
                on = set(compose.active_bars(self.rng, self.plan, 0.85))
                notes = [n for n in notes if int(n.start / self.plan.bar_s) in on]
        self.kicks = [n.start for n in notes if n.pitch in (35, 36)]
        audio = self.kit(notes)
        rng = self.rng
        if self.chance(0.6):
            audio = fx.compress(audio, rng.uniform(1.5, 6), rng.uniform(0.04, 0.2))
        if self.chance(0.5):
            audio = fx.saturate(audio, rng.uniform(0, 2))
        if self.chance(0.5):
            audio = fx.reverb(audio, rng, rng.uniform(0.2, 1.2), rng.uniform(0.02, 0.35))
        if self.chance(0.25):
            audio = np.repeat(audio.mean(1, keepdims=True), 2, 1)
        return audio

    # --- bass

    def bass_notes(self) -> list[Note]:
        rng, plan, step = self.rng, self.plan, self.plan.bar_s / 16
        octave = 1
        kind = str(rng.choice({"punk": ("eighths", "eighths", "kick"), "metal": ("eighths", "sixteenths", "kick"),
                               "country": ("two", "two", "walk"), "funk": ("loose", "kick", "pattern"),
                               "ballad": ("long", "pattern", "kick")}.get(self.style, ("eighths", "kick", "pattern", "walk", "loose"))))
        bars = range(plan.bars) if self.chance(0.7) else compose.active_bars(rng, plan, 0.8)
        if kind == "pattern":
            return compose.bass_line(rng, plan, list(bars), octave)
        if kind == "loose":
            return compose.loose_line(rng, plan, list(bars), octave)
        notes, gate = [], rng.uniform(0.7, 1.0)
        for bar in bars:
            at, degree = bar * plan.bar_s, plan.degree(bar) % 7
            if kind == "kick":
                inside = sorted({round((k - at) / step) for k in self.kicks if -0.5 * step < k - at < plan.bar_s - 0.5 * step})
                hits = [(i, (inside[n + 1] if n + 1 < len(inside) else 16) - i, degree if self.chance(0.85) else degree + 4) for n, i in enumerate(inside)]
            elif kind in ("eighths", "sixteenths"):
                size = 2 if kind == "eighths" else 1
                hits = [(i, size, degree) for i in range(0, 16, size)]
                if self.chance(0.3):
                    hits[-2:] = [(12, 2, degree + 2), (14, 2, degree + 4)]
            elif kind == "two":
                hits = [(0, 7, degree), (8, 7, degree + 4 if self.chance(0.8) else degree + 2)]
            elif kind == "walk":
                hits = [(4 * i, 4, degree + d) for i, d in enumerate((0, 2, 4, int(rng.choice((5, 6, 3)))))]
            else:
                hits = [(0, 16, degree)] if self.chance(0.6) else [(0, 8, degree), (8, 8, degree + 4)]
            for start, length, deg in hits:
                pitch = plan.pitch(deg, octave)
                pitch -= 12 * (pitch > 50)
                pitch += 12 * (pitch < 28)
                human = rng.normal(0, 0.006)
                notes.append(Note(max(0.0, at + start * step + human), max(0.05, length * step * gate), pitch, int(np.clip(rng.normal(98, 12), 40, 127))))
        return notes

    def bass(self, notes=None) -> np.ndarray:
        rng = self.rng
        notes = self.bass_notes() if notes is None else notes
        draw = rng.random()
        basses = self.ing.basses
        sonic = [n for n in basses if n.startswith("bass_")]
        real = [n for n in basses if not n.startswith("bass_")]
        if draw < 0.5:
            played = basses[real[rng.integers(len(real))]]
            arts = [a for a in played]
            art = "staccato" if "staccato" in arts and self.chance(0.2) else "sustain"
            audio = synth.render(notes, synth.sampled(played[art]), self.samples)
        elif draw < 0.9:
            audio = self.font_play(int(rng.choice((32, 33, 33, 34, 34, 34, 35, 36, 37, 38, 39))), notes)
        elif draw < 0.94 and sonic:
            audio = synth.render(notes, synth.sampled(basses[sonic[rng.integers(len(sonic))]]["sustain"]), self.samples)
        else:
            audio = synth.render(notes, synth.patch(rng, "bass"), self.samples)
        audio = np.repeat(audio.mean(1, keepdims=True), 2, 1)
        if self.chance(0.7):
            audio = fx.compress(audio, rng.uniform(2, 8), rng.uniform(0.05, 0.3))
        if self.chance(0.35):
            driven = fx.saturate(fx.butter(audio, rng.uniform(80, 300), "high", 1), rng.uniform(1, 10))
            driven = fx.butter(driven, rng.uniform(1800, 5000), "low", 2)
            audio = audio + driven * np.float32(fx.rms(audio) / fx.rms(driven) * rng.uniform(0.1, 0.9))
        elif self.chance(0.5):
            audio = fx.saturate(audio, rng.uniform(0.2, 2))
        audio = fx.butter(audio, 10 ** rng.uniform(2.7, 3.9), "low", int(rng.integers(1, 3)))
        if self.chance(0.4):
            audio = self.peak(audio, rng.uniform(60, 150), rng.uniform(-5, 6), 0.8)
        if self.chance(0.3):
            audio = self.peak(audio, rng.uniform(600, 1500), rng.uniform(-3, 6), 0.8)
        if self.chance(0.08):
            audio = fx.chorus(audio, rng, 1.5)
        return audio

    # --- other

    def guitar_notes(self, kind: str) -> list[Note]:
        rng, plan, step = self.rng, self.plan, self.plan.bar_s / 16
        bars = range(plan.bars) if self.chance(0.5) else compose.active_bars(rng, plan, 0.75)
        if kind == "lead":
            return compose.melody(rng, plan, list(bars), 60, 88)
        if kind == "arpeggio":
            return compose.arpeggio(rng, plan, list(bars))
        notes: list[Note] = []
        rhythm = {
            "chug": ("x.xxx.xxx.xxx.xx", "xxxxxxxxxxxxxxxx", "x..x..x.x..x..x.", "x.x.x.x.x.x.x.x."),
            "power": ("x.x.x.x.x.x.x.x.", "x.....x.x.....x.", "x...............", "x.......x.......", "x..x..x...x.x..."),
            "strum": ("x...x.x...x.x.x.", "x.x.x.x.x.x.x.x.", "x...x...x...x...", "..x...x...x...x."),
        }[kind]
        row = rhythm[rng.integers(len(rhythm))]
        places = [i for i, mark in enumerate(row) if mark == "x"]
        for bar in bars:
            degree, at = plan.degree(bar) % 7, bar * plan.bar_s
            root = plan.pitch(degree, 2)
            root += 12 * (root < 40) - 12 * (root > 51)
            power = [root, root + 7] + ([root + 12] if self.style != "metal" else [])
            whole = [p for o in (2, 3) for p in compose.chord(plan, bar, o, 3)]
            for n, i in enumerate(places):
                end = places[n + 1] if n + 1 < len(places) else 16
                pitches = whole if kind == "strum" else power
                length = (end - i) * step * (0.95 if kind != "chug" else 0.55)
                up = kind == "strum" and i % 4 == 2
                for k, pitch in enumerate(pitches[::-1] if up else pitches):
                    start = at + i * step + k * (0.008 if kind == "strum" else 0.002) + rng.normal(0, 0.003)
                    notes.append(Note(max(0.0, start), length, pitch, int(np.clip(rng.normal(92, 12), 30, 127))))
        return notes

    def guitar(self, kind: str) -> np.ndarray:
        """Sampled or from a soundfont, through an amplifier or clean; double-tracked if distorted."""
        rng = self.rng
        heavy = self.chance({"punk": 0.95, "metal": 0.97, "rock": 0.75}.get(self.style, 0.25))
        notes = self.guitar_notes(kind)
        guitars = self.ing.guitars
        names = list(guitars)
        name = names[rng.integers(len(names))]
        use_font = self.chance(0.4)
        program = int(rng.choice((24, 25, 25, 26, 27, 27, 28) if not heavy else (26, 27, 27, 28, 29, 30)))
        fit = [n._replace(pitch=int(np.clip(n.pitch, 38, 86))) for n in notes]

        def take() -> np.ndarray:
            moved = [n._replace(start=max(0.0, n.start + rng.normal(0, 0.008)), velocity=int(np.clip(n.velocity + rng.normal(0, 6), 20, 127))) for n in fit]
            if use_font:
                dry = self.font_play(program, moved)
            else:
                played = guitars[name]
                art = "staccato" if kind == "chug" and "staccato" in played else "sustain"
                dry = synth.render(moved, synth.sampled(played[art]), self.samples)
            dry = dry.mean(1)
            if heavy:
                dry = amplifier(dry, rng, settings)
            return dry

        settings = {"drive": 10 ** rng.uniform(0.6, 2.2), "low": rng.uniform(40, 180), "top": rng.uniform(3200, 6500),
                    "bump": rng.uniform(90, 200), "bump_db": rng.uniform(0, 9), "mid": rng.uniform(400, 900), "mid_db": rng.uniform(-8, 3),
                    "bite": rng.uniform(1500, 3500), "bite_db": rng.uniform(0, 8), "bend": rng.uniform(0, 0.4)}
        if kind == "chug" and self.chance(0.5):
            settings["top"] = rng.uniform(2000, 4000)
        width = rng.uniform(0.3, 1.0)
        if (heavy and kind != "lead" and self.chance(0.55)) or self.chance(0.15):
            audio = fx.pan(take(), -width) + fx.pan(take(), width)
        else:
            audio = fx.pan(take(), rng.uniform(-0.7, 0.7) if self.chance(0.6) else 0.0)
        if not heavy:
            if self.chance(0.5):
                audio = fx.saturate(audio, rng.uniform(0.2, 2))
            if self.chance(0.5):
                audio = fx.compress(audio, rng.uniform(1.5, 5), 0.15)
            if self.chance(0.15):
                audio = fx.chorus(audio, rng)
        return fx.butter(audio, rng.uniform(35, 90), "high", 1)

    def keys(self) -> np.ndarray:
        rng, plan = self.rng, self.plan
        bars = compose.active_bars(rng, plan, rng.uniform(0.4, 0.9))
        role = str(rng.choice(("pad", "pad", "chords", "chords", "chords", "pluck", "lead")))
        if role in ("pad", "chords"):
            notes = compose.chords(rng, plan, bars, role == "pad")
        else:
            notes = (compose.arpeggio if role == "pluck" else compose.melody)(rng, plan, bars)
        if self.chance(0.15):
            return synth.render(notes, synth.patch(rng, "pluck" if role == "chords" else role), self.samples)
        programs = {"pad": (16, 17, 18, 19, 48, 49, 50, 51, 52, 89, 90, 91, 61), "lead": (0, 4, 11, 21, 22, 40, 56, 57, 60, 65, 66, 67, 71, 73, 80, 81, 105, 110)}
        program = int(rng.choice(programs.get(role, (0, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 11, 12, 24, 25, 105, 46, 61, 62))))
        audio = self.font_play(program, notes, self.chance(0.3))
        if self.chance(0.2):
            audio = fx.saturate(audio, rng.uniform(0.5, 6))
        if self.chance(0.15):
            audio = fx.chorus(audio, rng)
        return fx.butter(audio, rng.uniform(30, 200), "high", 1)

    def other(self) -> np.ndarray:
        rng = self.rng
        kinds = {"punk": ["power"], "metal": ["chug", "power"], "rock": ["power", "strum"], "country": ["strum", "arpeggio"],
                 "funk": ["strum"], "ballad": ["arpeggio", "strum"], "pop": ["strum", "arpeggio"]}.get(self.style, ["power", "strum"])
        layers = [self.guitar(str(rng.choice(kinds)))]
        if self.chance(0.4):
            layers.append(self.guitar(str(rng.choice([*kinds, "lead", "arpeggio"]))))
        for chance in {"punk": (0.15,), "metal": (0.15,)}.get(self.style, (0.7, 0.35)):
            if self.chance(chance):
                layers.append(self.keys())
        if self.chance(0.12):
            layers[0] = self.keys()
        out = np.zeros((self.samples, 2), np.float32)
        for n, layer in enumerate(layers):
            out += layer * np.float32(0.1 / fx.rms(layer) * 10 ** (rng.normal(-3 if n else 0, 4) / 20))
        if self.chance(0.5):
            out = fx.reverb(out, rng, rng.uniform(0.3, 2.5), rng.uniform(0.02, 0.35))
        if self.chance(0.15):
            out = fx.echo(out, rng.choice((0.5, 0.75, 1)) * 60 / self.plan.tempo, 0.5, rng.uniform(0.05, 0.35))
        return out

    # --- all of it

    def midi(self):
        """A band's piece from MIDI; guitars of it through amplifiers."""
        rng = self.rng
        for path in rng.permutation([str(p) for p in self.ing.pieces]):
            parts = compose.midi_parts(str(path))
            end = max((n.start for notes in parts.values() for n in notes), default=0)
            if end > 45 and sum(map(len, parts.values())) > 300 and any(c == 9 for c, _ in parts):
                break
        begin = rng.uniform(0, max(0.0, min(end - self.seconds, 120)))
        shift = int(rng.integers(-3, 4))
        drums, bass, others = [], [], []
        for (channel, program), notes in parts.items():
            notes = [n._replace(start=n.start - begin) for n in notes if begin <= n.start < begin + self.seconds]
            if channel == 9:
                drums += notes
            elif notes:
                moved = [n._replace(pitch=int(np.clip(n.pitch + shift, 12, 108))) for n in notes]
                (bass.extend(moved) if 32 <= program < 40 else others.append((program, moved)))
        layers = []
        for program, notes in others:
            if program in range(24, 32) and self.chance(0.8):
                layers.append(self.amp_layer(program, notes))
            else:
                layers.append(self.font_play(program, notes))
        zero = np.zeros((self.samples, 2), np.float32)
        return (self.drums(drums) if drums else zero, self.bass(bass) if bass else zero, sum(layers, zero))

    def amp_layer(self, program, notes):
        rng = self.rng
        dry = self.font_play(27 if program >= 29 else program, notes).mean(1)
        settings = {"drive": 10 ** rng.uniform(0.6, 2.2), "low": rng.uniform(40, 180), "top": rng.uniform(3200, 6500),
                    "bump": rng.uniform(90, 200), "bump_db": rng.uniform(0, 9), "mid": rng.uniform(400, 900), "mid_db": rng.uniform(-8, 3),
                    "bite": rng.uniform(1500, 3500), "bite_db": rng.uniform(0, 8), "bend": rng.uniform(0, 0.4)}
        wet = amplifier(dry, rng, settings) if program >= 28 else dry
        return fx.pan(wet, rng.uniform(-0.8, 0.8)) * np.float32(fx.rms(dry) / fx.rms(wet))

    def song(self) -> np.ndarray:
        rng = self.rng
        if self.style == "midi":
            stems = list(self.midi())
        else:
            drums = self.drums()
            stems = [drums, self.bass(), self.other()]
        levels = rng.normal((0, -1, -1), (2, 3, 3))
        stems = [s * np.float32(0.1 / max(fx.rms(s), 1e-4) * 10 ** (v / 20)) for s, v in zip(stems, levels, strict=True)]
        mix = sum(stems)
        if self.chance(0.45):  # bus compression and a limiter: every stem gets the mix's gain
            level = mix + 1e-6
            pressed = fx.compress(mix, rng.uniform(1.3, 3), rng.uniform(0.05, 0.3))
            curve = np.clip(np.abs(pressed).sum(1, keepdims=True) / (np.abs(level).sum(1, keepdims=True) + 1e-9), 0, 2).astype(np.float32)
            curve = fx.butter(curve, 200, "low", 1)
            peak = float(np.abs(mix * curve).max())
            curve = curve * fx.limiter_curve(mix * curve, peak * rng.uniform(0.35, 0.9))
            stems = [s * curve for s in stems]
        peak = max(float(np.abs(s).max()) for s in stems)
        return (np.stack(stems) * (0.98 * 32767 / max(peak, 1e-6))).astype(np.int16)


def amplifier(dry: np.ndarray, rng, s: dict[str, float]) -> np.ndarray:
    """(samples,) through a drive and a cabinet."""
    x = fx.butter(dry[:, None], s["low"], "high", 1)[:, 0]
    x = x * (s["drive"] / (6 * fx.rms(x)))
    bent = np.tanh(x + s["bend"]) - np.tanh(s["bend"])
    b, a = _peak(s["bite"], s["bite_db"], 0.8)
    out = signal.lfilter(b, a, bent)
    b, a = _peak(s["mid"], s["mid_db"], 0.8)
    out = signal.lfilter(b, a, out)
    b, a = _peak(s["bump"], s["bump_db"], 1.2)
    out = signal.lfilter(b, a, out)
    out = fx.butter(out[:, None], s["top"], "low", 4)
    return fx.butter(out, 50, "high", 2)[:, 0]


def _peak(hz: float, db: float, q: float):
    """Coefficients of a peaking equalizer (Bristow-Johnson)."""
    w, gain = 2 * np.pi * hz / RATE, 10 ** (db / 40)
    alpha = np.sin(w) / (2 * q)
    b = np.array([1 + alpha * gain, -2 * np.cos(w), 1 - alpha * gain])
    a = np.array([1 + alpha / gain, -2 * np.cos(w), 1 - alpha / gain])
    return b / a[0], a / a[0]


def _font_kit(font: Path, program: int, notes: Sequence[Note], samples: int) -> np.ndarray:
    """Notes on a kit of a soundfont, by its program on channel 10."""
    keep = soundfont._midi_file

    def with_program(parts):
        import mido

        song = keep(parts)
        song.tracks[0].insert(0, mido.Message("program_change", program=program, channel=9, time=0))
        return song

    soundfont._midi_file = with_program
    try:
        return soundfont.play(font, [(None, list(notes))], samples, False)
    finally:
        soundfont._midi_file = keep


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--ingredients", type=Path, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--seconds", type=float, default=40)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    ingredients = replace(find_ingredients(args.ingredients), soundfont=FONTS[0])
    for number in range(args.first, args.first + args.count):
        path = args.out / f"song{number:04d}.npy"
        if path.exists():
            continue
        maker = Maker((args.seed, number), ingredients, args.seconds)
        try:
            song = maker.song()
        except Exception as error:
            print(number, maker.style, repr(error), flush=True)
            continue
        np.save(path.with_name(f"tmp{number}.npy"), song)
        path.with_name(f"tmp{number}.npy").rename(path)
        print(number, maker.style, flush=True)


if __name__ == "__main__":
    main()
