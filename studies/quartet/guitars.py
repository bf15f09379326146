"""Guitars, through amplifiers or clean, and keys of a made-up band."""

from __future__ import annotations

import numpy as np
from scipy import signal

from studies.quartet.band import peaking
from studies.quartet.rhythm import Rhythm
from unbraid.songs import compose, patches, synth
from unbraid.songs import effects as fx
from unbraid.songs.notes import Note


class Guitars(Rhythm):
    """A band of which everything can be played."""

    def guitar_notes(self, kind: str) -> list[Note]:
        rng, plan, step = self.rng, self.plan, self.plan.bar_s / 16
        bars = range(plan.bars) if self.chance(0.5) else compose.active_bars(rng, plan, 0.75)
        if kind == "lead":
            return compose.melody(rng, plan, list(bars), 60, 88)
        if kind == "arpeggio":
            return compose.arpeggio(rng, plan, list(bars))
        notes: list[Note] = []
        rhythm = {
            "chug": (
                "x.xxx.xxx.xxx.xx",
                "xxxxxxxxxxxxxxxx",
                "x..x..x.x..x..x.",
                "x.x.x.x.x.x.x.x.",
            ),
            "power": (
                "x.x.x.x.x.x.x.x.",
                "x.....x.x.....x.",
                "x...............",
                "x.......x.......",
                "x..x..x...x.x...",
            ),
            "strum": (
                "x...x.x...x.x.x.",
                "x.x.x.x.x.x.x.x.",
                "x...x...x...x...",
                "..x...x...x...x.",
            ),
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
                    start = (
                        at
                        + i * step
                        + k * (0.008 if kind == "strum" else 0.002)
                        + rng.normal(0, 0.003)
                    )
                    notes.append(
                        Note(
                            max(0.0, start),
                            length,
                            pitch,
                            int(np.clip(rng.normal(92, 12), 30, 127)),
                        )
                    )
        return notes

    def guitar(self, kind: str) -> np.ndarray:
        """From samples or a soundfont, clean or through an amplifier, once or twice."""
        rng = self.rng
        heavy = self.chance({"punk": 0.95, "metal": 0.97, "rock": 0.75}.get(self.style, 0.25))
        notes = self.guitar_notes(kind)
        guitars = self.ing.guitars
        names = list(guitars)
        name = names[rng.integers(len(names))]
        use_font = self.chance(0.4)
        program = int(
            rng.choice((24, 25, 25, 26, 27, 27, 28) if not heavy else (26, 27, 27, 28, 29, 30))
        )
        fit = [n._replace(pitch=int(np.clip(n.pitch, 38, 86))) for n in notes]

        def take() -> np.ndarray:
            moved = [
                n._replace(
                    start=max(0.0, n.start + rng.normal(0, 0.008)),
                    velocity=int(np.clip(n.velocity + rng.normal(0, 6), 20, 127)),
                )
                for n in fit
            ]
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

        settings = amplifier_settings(rng)
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
            return synth.render(
                notes, patches.patch(rng, "pluck" if role == "chords" else role), self.samples
            )
        programs = {
            "pad": (16, 17, 18, 19, 48, 49, 50, 51, 52, 89, 90, 91, 61),
            "lead": (0, 4, 11, 21, 22, 40, 56, 57, 60, 65, 66, 67, 71, 73, 80, 81, 105, 110),
        }
        program = int(
            rng.choice(
                programs.get(
                    role,
                    (0, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 11, 12, 24, 25, 105, 46, 61, 62),
                )
            )
        )
        audio = self.font_play(program, notes, self.chance(0.3))
        if self.chance(0.2):
            audio = fx.saturate(audio, rng.uniform(0.5, 6))
        if self.chance(0.15):
            audio = fx.chorus(audio, rng)
        return fx.butter(audio, rng.uniform(30, 200), "high", 1)

    def other(self) -> np.ndarray:
        rng = self.rng
        kinds = {
            "punk": ["power"],
            "metal": ["chug", "power"],
            "rock": ["power", "strum"],
            "country": ["strum", "arpeggio"],
            "funk": ["strum"],
            "ballad": ["arpeggio", "strum"],
            "pop": ["strum", "arpeggio"],
        }.get(self.style, ["power", "strum"])
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
            out += layer * np.float32(
                0.1 / fx.rms(layer) * 10 ** (rng.normal(-3 if n else 0, 4) / 20)
            )
        if self.chance(0.5):
            out = fx.reverb(out, rng, rng.uniform(0.3, 2.5), rng.uniform(0.02, 0.35))
        if self.chance(0.15):
            out = fx.echo(
                out, rng.choice((0.5, 0.75, 1)) * 60 / self.plan.tempo, 0.5, rng.uniform(0.05, 0.35)
            )
        return out

    def amp_layer(self, program, notes):
        rng = self.rng
        dry = self.font_play(27 if program >= 29 else program, notes).mean(1)
        settings = amplifier_settings(rng)
        wet = amplifier(dry, rng, settings) if program >= 28 else dry
        return fx.pan(wet, rng.uniform(-0.8, 0.8)) * np.float32(fx.rms(dry) / fx.rms(wet))


def amplifier_settings(rng: np.random.Generator) -> dict[str, float]:
    """What `amplifier` is set to, drawn at random."""
    return {
        "drive": 10 ** rng.uniform(0.6, 2.2),
        "low": rng.uniform(40, 180),
        "top": rng.uniform(3200, 6500),
        "bump": rng.uniform(90, 200),
        "bump_db": rng.uniform(0, 9),
        "mid": rng.uniform(400, 900),
        "mid_db": rng.uniform(-8, 3),
        "bite": rng.uniform(1500, 3500),
        "bite_db": rng.uniform(0, 8),
        "bend": rng.uniform(0, 0.4),
    }


def amplifier(dry: np.ndarray, rng, s: dict[str, float]) -> np.ndarray:
    """(samples,) through a drive and a cabinet."""
    x = fx.butter(dry[:, None], s["low"], "high", 1)[:, 0]
    x = x * (s["drive"] / (6 * fx.rms(x)))
    bent = np.tanh(x + s["bend"]) - np.tanh(s["bend"])
    b, a = peaking(s["bite"], s["bite_db"], 0.8)
    out = signal.lfilter(b, a, bent)
    b, a = peaking(s["mid"], s["mid_db"], 0.8)
    out = signal.lfilter(b, a, out)
    b, a = peaking(s["bump"], s["bump_db"], 1.2)
    out = signal.lfilter(b, a, out)
    out = fx.butter(out[:, None], s["top"], "low", 4)
    return fx.butter(out, 50, "high", 2)[:, 0]
