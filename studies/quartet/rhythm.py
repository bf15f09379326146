"""Drums and bass of a made-up band."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from studies.quartet.band import Band
from unbraid.songs import compose, patches, soundfont, synth
from unbraid.songs import effects as fx
from unbraid.songs.notes import Note

KIT_PROGRAMS = (0, 0, 0, 8, 8, 16, 16, 24, 25, 32, 40)


class Rhythm(Band):
    """A band whose drums and bass can be played."""

    def beat(self) -> list[Note]:
        """A rock, punk or metal beat with a human hand, in steps of sixteenths."""
        rng, step = self.rng, self.plan.bar_s / 16
        kicks, snares = {
            "punk": (
                ("x...x.x.x...x.x.", "x.x...x.x.x...x.", "x...x...x...x..."),
                ("..x...x...x...x.", "....x.......x..."),
            ),
            "metal": (
                ("xxxxxxxxxxxxxxxx", "x.xxx.xxx.xxx.xx", "x..x..x.x..x..x.", "x.x.x.x.x.x.x.x."),
                ("....x.......x...", "..x...x...x...x.", "........x......."),
            ),
        }.get(self.style, (compose.KICKS, compose.SNARES[:3]))
        kick, snare = kicks[rng.integers(len(kicks))], snares[rng.integers(len(snares))]
        other = kicks[rng.integers(len(kicks))]
        cymbal = int(rng.choice((42, 42, 46, 51, 49)))
        hats = "x.x.x.x.x.x.x.x." if self.chance(0.6) else "x...x...x...x..."
        late, notes = rng.uniform(0.002, 0.012), []
        for bar in range(self.plan.bars):
            at = bar * self.plan.bar_s
            rows = [
                (36, kick if bar % 2 == 0 else other, 105),
                (38, snare, 108),
                (cymbal, hats, 85),
            ]
            if bar % 4 == 0:
                rows.append((int(rng.choice((49, 57))), "x...............", 110))
            for pitch, row, loud in rows:
                for i, mark in enumerate(row):
                    if mark == "x" and not (
                        bar % 8 == 7 and i >= 8 and pitch in (36, 38) and self.style != "punk"
                    ):
                        hit = int(np.clip(loud + rng.normal(0, 8), 20, 127))
                        notes.append(
                            Note(max(0.0, at + i * step + rng.normal(0, late)), 0.1, pitch, hit)
                        )
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
            name = (
                "kick"
                if note.pitch in (35, 36)
                else "snare"
                if note.pitch in (37, 38, 39, 40)
                else "toms"
                if note.pitch in (41, 43, 45, 47, 48, 50)
                else "metal"
            )
            groups.setdefault(name, []).append(note)
        kits = self.ing.kits
        names = [n for n in kits if not n.startswith("sonic")]
        sonic = [n for n in kits if n.startswith("sonic")]
        if draw < 0.45:
            font = self.font
            program = int(rng.choice(KIT_PROGRAMS))

            def play(part):
                return soundfont.play(font, [(None, part)], self.samples, kit=program)
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

    def drums(self, notes=None) -> np.ndarray:
        if notes is None:
            notes = (
                compose.groove(self.take, self.plan.tempo, self.seconds)
                if self.take
                else self.beat()
            )
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

    def bass_notes(self) -> list[Note]:
        rng, plan, step = self.rng, self.plan, self.plan.bar_s / 16
        octave = 1
        kind = str(
            rng.choice(
                {
                    "punk": ("eighths", "eighths", "kick"),
                    "metal": ("eighths", "sixteenths", "kick"),
                    "country": ("two", "two", "walk"),
                    "funk": ("loose", "kick", "pattern"),
                    "ballad": ("long", "pattern", "kick"),
                }.get(self.style, ("eighths", "kick", "pattern", "walk", "loose"))
            )
        )
        bars = range(plan.bars) if self.chance(0.7) else compose.active_bars(rng, plan, 0.8)
        if kind == "pattern":
            return compose.bass_line(rng, plan, list(bars), octave)
        if kind == "loose":
            return compose.loose_line(rng, plan, list(bars), octave)
        notes, gate = [], rng.uniform(0.7, 1.0)
        for bar in bars:
            at, degree = bar * plan.bar_s, plan.degree(bar) % 7
            if kind == "kick":
                inside = sorted(
                    {
                        round((k - at) / step)
                        for k in self.kicks
                        if -0.5 * step < k - at < plan.bar_s - 0.5 * step
                    }
                )
                hits = [
                    (
                        i,
                        (inside[n + 1] if n + 1 < len(inside) else 16) - i,
                        degree if self.chance(0.85) else degree + 4,
                    )
                    for n, i in enumerate(inside)
                ]
            elif kind in ("eighths", "sixteenths"):
                size = 2 if kind == "eighths" else 1
                hits = [(i, size, degree) for i in range(0, 16, size)]
                if self.chance(0.3):
                    hits[-2:] = [(12, 2, degree + 2), (14, 2, degree + 4)]
            elif kind == "two":
                hits = [(0, 7, degree), (8, 7, degree + 4 if self.chance(0.8) else degree + 2)]
            elif kind == "walk":
                hits = [
                    (4 * i, 4, degree + d)
                    for i, d in enumerate((0, 2, 4, int(rng.choice((5, 6, 3)))))
                ]
            else:
                hits = (
                    [(0, 16, degree)] if self.chance(0.6) else [(0, 8, degree), (8, 8, degree + 4)]
                )
            for start, length, deg in hits:
                pitch = plan.pitch(deg, octave)
                pitch -= 12 * (pitch > 50)
                pitch += 12 * (pitch < 28)
                human = rng.normal(0, 0.006)
                notes.append(
                    Note(
                        max(0.0, at + start * step + human),
                        max(0.05, length * step * gate),
                        pitch,
                        int(np.clip(rng.normal(98, 12), 40, 127)),
                    )
                )
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
            art = "staccato" if "staccato" in played and self.chance(0.2) else "sustain"
            audio = synth.render(notes, synth.sampled(played[art]), self.samples)
        elif draw < 0.9:
            audio = self.font_play(
                int(rng.choice((32, 33, 33, 34, 34, 34, 35, 36, 37, 38, 39))), notes
            )
        elif draw < 0.94 and sonic:
            audio = synth.render(
                notes,
                synth.sampled(basses[sonic[rng.integers(len(sonic))]]["sustain"]),
                self.samples,
            )
        else:
            audio = synth.render(notes, patches.patch(rng, "bass"), self.samples)
        audio = np.repeat(audio.mean(1, keepdims=True), 2, 1)
        if self.chance(0.7):
            audio = fx.compress(audio, rng.uniform(2, 8), rng.uniform(0.05, 0.3))
        if self.chance(0.35):
            driven = fx.saturate(
                fx.butter(audio, rng.uniform(80, 300), "high", 1), rng.uniform(1, 10)
            )
            driven = fx.butter(driven, rng.uniform(1800, 5000), "low", 2)
            audio = audio + driven * np.float32(
                fx.rms(audio) / fx.rms(driven) * rng.uniform(0.1, 0.9)
            )
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
