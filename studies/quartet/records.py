"""Songs of bands whose sampled instruments are played by hand: files record*.npy of make_songs.

What they are for: kick and snare next to a bass, and a bass next to the low half of guitars, from
60 to 500 Hz. So there are many basses, kits and guitars; basses that play with the guitars' riff an
octave below; guitars tuned down, palm-muted, left and right; kicks at many pitches. A third of the
songs is as a band at home makes them: single dry takes in mono, only levelled and panned.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from studies.quartet import lines
from studies.quartet.guitars import Guitars, amplifier
from studies.quartet.mixing import balance, press, whole
from studies.quartet.sampler import Drum, Sampler, Stroke
from unbraid.songs import compose
from unbraid.songs import effects as fx
from unbraid.songs.notes import Note
from unbraid.songs.synth import GROOVE_NOTES

GROUPS = {
    "kick": (35, 36),
    "snare": (37, 38),
    "toms": (41, 43, 45, 47, 48, 50),
}
ACOUSTIC = ("meatbass",)
HEAVY = {"punk": 0.95, "metal": 0.98, "rock": 0.75, "pop": 0.35, "funk": 0.15, "midi": 0.2}


class Records(Guitars):
    """A band with many instruments.

    Attributes:
        font_kits: how often drums are those of a soundfont or of few samples.
    """

    font_kits = 0.1

    def song(self) -> np.ndarray:
        """int16 (3, samples, 2)."""
        rng = self.rng
        self.home = self.chance(0.33)
        self.down = int(rng.choice((0, 0, 0, 0, -1, -2, -2, -4, -5)))
        if self.style in ("country", "funk", "ballad"):
            self.down = min(0, max(self.down, -1))
        self.riff: list[Stroke] = []
        drums = self.drums()
        other = self.other()
        stems = balance([drums, self.bass(), other], rng)
        if not self.home and self.chance(0.45):
            stems = press(stems, rng)
        return whole(stems)

    # --- drums --------------------------------------------------------------------------------

    def kit(self, notes: Sequence[Note]) -> np.ndarray:
        """Each drum from a kit of its own now and then, at a pitch of its own."""
        if self.chance(self.font_kits):
            return super().kit(notes)
        rng = self.rng
        kits = self.ing.kits
        real = [n for n in kits if n.startswith(("muldjord", "gogodze", "snare"))]
        sonic = [n for n in kits if n.startswith(("sonic", "rumpf"))]
        names = sonic if sonic and self.chance(0.12) else real
        body = names[rng.integers(len(names))]
        out = np.zeros((self.samples, 2), np.float32)
        level = {"kick": rng.normal(0, 2), "snare": rng.normal(0, 2), "toms": rng.normal(-1, 2)}
        for group in (*GROUPS, "metal"):
            mine = [n for n in notes if self.group(n.pitch) == group]
            if not mine:
                continue
            pool = sonic if sonic and group == "kick" and self.chance(0.15) else real
            kit = kits[pool[rng.integers(len(pool))] if self.chance(0.5) else body]
            audio = self.pieces(kit, group, mine)
            audio *= np.float32(10 ** (level.get(group, rng.normal(-4, 2.5)) / 20))
            out += self.coloured(audio, group)
        return out

    def group(self, pitch: int) -> str:
        pitch = GROOVE_NOTES.get(pitch, pitch)
        return next((g for g, pitches in GROUPS.items() if pitch in pitches), "metal")

    def pieces(self, kit, group: str, notes: Sequence[Note]) -> np.ndarray:
        """One group of drums, (samples, 2)."""
        rng = self.rng
        spread = {"kick": 0.14, "snare": 0.1, "toms": 0.1, "metal": 0.05}[group]
        tuning = 2 ** float(rng.normal(0, spread))
        decay = 10 ** rng.uniform(-1.3, -0.3) if group != "metal" and self.chance(0.4) else 0.0
        place = 0.0 if group in ("kick", "snare") else rng.uniform(-0.7, 0.7)
        known = {sample.pitch for sample in kit}
        times: dict[int, list[tuple[float, int]]] = {}
        for note in notes:
            pitch = GROOVE_NOTES.get(note.pitch, note.pitch)
            if group == "kick":
                pitch = 36 if 36 in known else 35
            if pitch not in known:
                pitch = min(known, key=lambda p: abs(p - pitch))
            times.setdefault(pitch, []).append((note.start, note.velocity))
        out = np.zeros((self.samples, 2), np.float32)
        for pitch, hits in sorted(times.items()):
            drum = Drum([s for s in kit if s.pitch == pitch], rng, tuning, decay)
            drum.play(hits, out)
        return fx.pan((out[:, 0] + out[:, 1]) / 2, place) if self.home else out

    def coloured(self, audio: np.ndarray, group: str) -> np.ndarray:
        """An equalizer and a compressor for one group."""
        rng = self.rng
        if group == "kick":
            audio = fx.butter(audio, rng.uniform(2000, 12000), "low", 1)
            if self.chance(0.5):
                audio = self.peak(audio, rng.uniform(45, 110), rng.uniform(-5, 8), 1.0)
            if self.chance(0.4):
                audio = self.peak(audio, rng.uniform(180, 450), rng.uniform(-9, 2), 0.8)
            if self.chance(0.4):
                audio = self.peak(audio, rng.uniform(2000, 5000), rng.uniform(0, 8), 1.0)
        elif group == "snare":
            audio = self.peak(audio, rng.uniform(150, 300), rng.uniform(-3, 7), 1.0)
        elif group == "metal":
            return fx.butter(audio, rng.uniform(150, 500), "high", 1)
        if not self.home and self.chance(0.3):
            audio = fx.compress(audio, rng.uniform(2, 5), 0.08)
        return audio

    def drums(self, notes=None) -> np.ndarray:
        if not self.home:
            return super().drums(notes)
        notes = (
            compose.groove(self.take, self.plan.tempo, self.seconds) if self.take else self.beat()
        )
        self.kicks = [n.start for n in notes if n.pitch in (35, 36)]
        return self.kit(notes)

    # --- guitars and keys -----------------------------------------------------------------------

    def bars(self, share: float) -> list[int]:
        if self.chance(0.7):
            return list(range(self.plan.bars))
        return compose.active_bars(self.rng, self.plan, share)

    def strokes(self, kind: str, bars: Sequence[int]) -> list[Stroke]:
        """What a guitar plays; a riff's roots are kept for the bass."""
        rng, low = self.rng, 40 + self.down
        if kind == "riff":
            style = self.style if self.style in lines.RIFF_ROWS else "rock"
            roots = lines.riff(rng, self.plan, bars, style, low)
            self.riff = self.riff or roots
            chord = (7, 12) if self.chance(0.6) else (7,)
            single = self.chance(0.2)
            above = [
                s._replace(pitch=s.pitch + step, velocity=s.velocity - 6)
                for s in roots
                if not s.muted and not single
                for step in chord
            ]
            return sorted(roots + above)
        notes = self.guitar_notes("power" if kind == "power" else kind)
        shift = self.down if kind == "power" else 0
        return [
            Stroke(n.start, n.length, int(np.clip(n.pitch + shift, low - 2, 86)), n.velocity)
            for n in notes
        ]

    def settings(self, kind: str) -> dict[str, float]:
        """Of an amplifier and its cabinet."""
        u = self.rng.uniform
        heavy = kind in ("riff", "power")
        return {
            "drive": 10 ** u(0.5, 2.2),
            "low": u(50, 130) if heavy else u(60, 200),
            "top": u(3000, 6500),
            "bump": u(85, 220),
            "bump_db": u(2, 11) if heavy else u(0, 6),
            "mid": u(400, 900),
            "mid_db": u(-9, 3),
            "bite": u(1500, 3500),
            "bite_db": u(0, 8),
            "bend": u(0, 0.4),
        }

    def performance(self, played, strokes: Sequence[Stroke], settings, release_s) -> np.ndarray:
        """(samples,) of one performance, through the amplifier if there are settings."""
        rng = self.rng
        moved = [
            s._replace(
                start=max(0.0, s.start + rng.normal(0, 0.007)),
                velocity=int(np.clip(s.velocity + rng.normal(0, 6), 20, 127)),
            )
            for s in strokes
        ]
        rings = [s for s in moved if not s.muted]
        mutes = [s._replace(length=min(s.length, 0.14)) for s in moved if s.muted]
        dry = Sampler(played["sustain"], rng).play(rings, self.samples, release_s)
        if mutes:
            choked = Sampler(played.get("staccato", played["sustain"]), rng)
            palm = choked.play(mutes, self.samples, 0.05)[:, None]
            dry += fx.butter(palm, rng.uniform(700, 2500), "low", 1)[:, 0] * np.float32(1.3)
        return amplifier(dry, rng, settings) if settings else dry

    def guitar(self, kind: str) -> np.ndarray:
        rng = self.rng
        heavy = kind in ("riff", "power") or (kind == "lead" and self.chance(0.5))
        guitars = self.ing.guitars
        names = [n for n in guitars if not heavy or not n.startswith(("spanish", "shinyguitar-a"))]
        played = guitars[names[rng.integers(len(names))]]
        strokes = self.strokes(kind, self.bars(0.8))
        settings = self.settings(kind) if heavy else None
        release = rng.uniform(0.03, 0.2)
        double = self.chance(0.75 if kind == "riff" else 0.5 if heavy else 0.15)
        if double:
            width = rng.uniform(0.5, 1.0)
            again = self.settings(kind) if heavy and self.chance(0.4) else settings
            left = self.performance(played, strokes, settings, release)
            right = self.performance(played, strokes, again, release)
            right *= np.float32(fx.rms(left) / fx.rms(right))
            audio = fx.pan(left, -width) + fx.pan(right, width)
        else:
            place = rng.uniform(-0.8, 0.8) if self.chance(0.7) else 0.0
            audio = fx.pan(self.performance(played, strokes, settings, release), place)
        if not heavy and not self.home:
            if self.chance(0.5):
                audio = fx.saturate(audio, rng.uniform(0.2, 2.5))
            if self.chance(0.5):
                audio = fx.compress(audio, rng.uniform(1.5, 5), 0.15)
        elif self.chance(0.2):
            audio = fx.saturate(audio, rng.uniform(0.2, 2.5))
        return fx.butter(audio, rng.uniform(30, 80), "high", 1)

    def other(self) -> np.ndarray:
        rng = self.rng
        heavy = self.chance(HEAVY.get(self.style, 0.2))
        first = "riff" if heavy and self.chance(0.75) else "power" if heavy else None
        soft = ["strum", "arpeggio", "strum"]
        layers = [self.guitar(first or str(rng.choice(soft)))]
        if self.chance(0.35):
            layers.append(
                self.guitar(str(rng.choice(["lead", "power" if heavy else "strum", *soft])))
            )
        if self.chance(0.12 if heavy else 0.4):
            layers.append(self.keys())
            if self.home:
                layers[-1] = fx.pan(layers[-1].mean(1), rng.uniform(-0.6, 0.6))
        out = np.zeros((self.samples, 2), np.float32)
        for n, layer in enumerate(layers):
            gain = 0.1 / max(fx.rms(layer), 1e-4) * 10 ** (rng.normal(-4 if n else 0, 3) / 20)
            out += layer * np.float32(gain)
        if not self.home and self.chance(0.4):
            out = fx.reverb(out, rng, rng.uniform(0.3, 1.8), rng.uniform(0.02, 0.3))
        return out

    # --- bass -----------------------------------------------------------------------------------

    def bass_strokes(self) -> list[Stroke]:
        rng = self.rng
        low = 28 + self.down if self.chance(0.7) else 28
        if self.riff and self.chance(0.6):
            return lines.below(self.riff, rng, low)
        bars = self.bars(0.85)
        style = "rock" if self.style == "midi" and self.chance(0.5) else self.style
        return lines.bass_line(rng, self.plan, bars, style, self.kicks, low)

    def bass(self, notes=None) -> np.ndarray:
        rng = self.rng
        basses = self.ing.basses
        names = [n for n in basses if not n.startswith("bass_")]
        calm = self.style in ("country", "ballad", "midi")
        share = [0.0 if n in ACOUSTIC and not calm else 1.0 for n in names]
        name = str(rng.choice(names, p=np.array(share) / sum(share)))
        played = basses[name]
        strokes = self.bass_strokes()
        art = "staccato" if "staccato" in played and self.chance(0.25) else "sustain"
        clear = [s for s in strokes if not s.muted]
        clear = alone(clear)
        audio = Sampler(played[art], rng).play(clear, self.samples, rng.uniform(0.02, 0.08))
        ghosts = [s for s in strokes if s.muted]
        if ghosts:
            muted = Sampler(played["sustain"], rng)
            thud = muted.play(ghosts, self.samples, 0.02)[:, None]
            audio += fx.butter(thud, rng.uniform(300, 900), "low", 1)[:, 0] * np.float32(0.6)
        return fx.pan(self.bass_amp(audio[:, None]), 0.0)

    def bass_amp(self, audio: np.ndarray) -> np.ndarray:
        """(samples, 1) to (samples,): compressor, drive beside the clean sound, cabinet."""
        rng = self.rng
        if self.chance(0.35 if self.home else 0.75):
            audio = fx.compress(audio, rng.uniform(2, 8), rng.uniform(0.05, 0.3))
        dirt = {"metal": 0.6, "punk": 0.5, "rock": 0.4}.get(self.style, 0.15)
        if self.chance(dirt):
            driven = fx.butter(audio, rng.uniform(60, 300), "high", 1)
            driven = fx.saturate(driven, 10 ** rng.uniform(0, 1.3))
            driven = fx.butter(driven, rng.uniform(1800, 5500), "low", 2)
            share = rng.uniform(0.15, 1.2)
            audio = audio + driven * np.float32(fx.rms(audio) / fx.rms(driven) * share)
        elif self.chance(0.4):
            audio = fx.saturate(audio, rng.uniform(0.2, 2.5))
        audio = fx.butter(audio, 10 ** rng.uniform(2.5, 3.6), "low", int(rng.integers(1, 3)))
        audio = fx.tilt(audio, -rng.uniform(1, 9), rng.uniform(120, 300))
        if self.chance(0.5):
            audio = self.peak(audio, rng.uniform(55, 150), rng.uniform(-5, 6), 0.8)
        if self.chance(0.4):
            audio = self.peak(audio, rng.uniform(200, 500), rng.uniform(-5, 4), 0.9)
        if self.chance(0.3):
            audio = self.peak(audio, rng.uniform(600, 1500), rng.uniform(-3, 6), 0.8)
        audio = fx.butter(audio, rng.uniform(20, 45), "high", 2)
        return audio[:, 0]


def alone(strokes: Sequence[Stroke]) -> list[Stroke]:
    """One note at a time: each ends where the next begins."""
    ordered = sorted(strokes)
    return [
        s._replace(length=max(0.04, min(s.length, after.start - s.start + 0.01)))
        for s, after in zip(ordered, [*ordered[1:], Stroke(1e9, 0, 0, 0)], strict=True)
    ]
