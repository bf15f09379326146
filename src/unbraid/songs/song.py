"""One made-up song: its parts are drawn, played, mixed and limited, all from its seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile

from unbraid.errors import SettingsError
from unbraid.songs import compose, soundfont, synth, voices
from unbraid.songs import effects as fx
from unbraid.songs.effects import RATE
from unbraid.songs.ingredients import VOICE_SHARES, Ingredients, instrument_of
from unbraid.songs.notes import Note

STEMS = ("drums", "bass", "other", "vocals")

Seed = int | Sequence[int]

Line = Literal["pattern", "loose", "punch", "mono"]
LINES: tuple[Line, ...] = ("pattern", "loose", "punch", "mono")
"""Kinds of deep basses, see `make_low_end`."""

_OTHER_PROGRAMS = (
    *(0, 1, 2, 4, 5, 7, 11, 12, 16, 18, 19, 21, 24, 25, 26, 27, 28, 29, 30, 40, 46, 48, 49, 50),
    *(51, 56, 60, 61, 62, 63, 65, 66, 71, 73, 75, 80, 81, 82, 84, 87, 88, 89, 90, 91, 92, 93, 94),
    *(95, 98, 99, 102, 104, 105, 108, 114),
)


@dataclass(frozen=True)
class SongSettings:
    """How songs are made up.

    Attributes:
        seconds: least and greatest length.
        recorded_vocals: files of real singing, (samples, 2) 16-bit .npy or sound at 44.1 kHz, that
            a third of the songs borrow an excerpt of.
        recorded_credit: their licence.
        choirs: how often a choir sings what else one voice would, speech turned to song.
    Raises:
        SettingsError: if songs would be shorter than 4 s, the range is empty, or `choirs` is not
            between 0 and 1.
    """

    seconds: tuple[float, float] = (60, 85)
    recorded_vocals: tuple[Path, ...] = ()
    recorded_credit: str = ""
    choirs: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.seconds
        if not 4 <= low <= high <= 3600:
            raise SettingsError(f"songs last from 4 s to an hour, got {low:g} to {high:g}")
        if not 0 <= self.choirs <= 1:
            raise SettingsError(f"a share of choirs lies within 0 and 1, got {self.choirs:g}")


class Song:
    """What the parts of one song share.

    Args:
        seed: of everything.
        ingredients: what there is.
        settings: length and singers.
        kind: "electronic", "band" or "midi"; drawn if None.

    Attributes:
        rng: random numbers.
        plan: tempo, key and chords.
        samples: length.
        credits: licences of all that went into it.
        kicks: times of the bass drum, in seconds.
    """

    def __init__(
        self,
        seed: Seed,
        ingredients: Ingredients,
        settings: SongSettings,
        kind: str | None = None,
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.ingredients, self.settings = ingredients, settings
        drawn = str(self.rng.choice(("electronic", "band", "midi"), p=(0.52, 0.34, 0.14)))
        self.kind = kind or drawn
        if self.kind == "midi" and not ingredients.pieces:
            self.kind = "band"
        self.seconds = float(self.rng.uniform(*settings.seconds))
        self.samples = int(self.seconds * RATE)
        self.credits: set[str] = set()
        self.kicks: list[float] = []
        self.performance: str | None = None
        tempo = float(self.rng.uniform(85, 150))
        if self.kind == "band" or self.chance(0.15):
            performances = ingredients.performances
            if performances:
                tempo, self.performance = performances[self.rng.integers(len(performances))]
        self.plan = compose.make_plan(self.rng, tempo, self.seconds)

    def chance(self, probability: float) -> bool:
        """A coin."""
        return bool(self.rng.random() < probability)

    def bars(self, share: float) -> list[int]:
        """The bars in which a part plays, about the given share of all."""
        return compose.active_bars(self.rng, self.plan, share)

    def play(self, notes: Sequence[Note], voice: synth.Voice) -> np.ndarray:
        """(samples, 2)."""
        return synth.render(notes, voice, self.samples)

    def play_font(self, program: int | None, notes: Sequence[Note]) -> np.ndarray:
        """Notes on a soundfont, which must be there; (samples, 2)."""
        assert self.ingredients.soundfont is not None
        self.credits.add(self.ingredients.soundfont_credit())
        reverb = self.chance(0.3)
        return soundfont.play(self.ingredients.soundfont, [(program, notes)], self.samples, reverb)

    def use(self, samples: Sequence[synth.Sample]) -> None:
        """Take samples down in the credits."""
        place = instrument_of(samples, self.ingredients.folder)
        self.credits.add(self.ingredients.credit(place))


def make_song(
    seed: Seed,
    ingredients: Ingredients,
    settings: SongSettings | None = None,
    kind: str | None = None,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """A song of up to four stems.

    Args:
        seed: of everything; the same seed, ingredients, settings and kind make the same song.
        ingredients: what it is made from.
        settings: length and singers.
        kind: "electronic", "band" or "midi"; drawn if None.
    Returns:
        stems (samples, 2), whose plain sum stays below full scale, without silent ones; and what
        there is to know: style, tempo, licences.
    """
    song = Song(seed, ingredients, settings or SongSettings(), kind)
    stems: dict[str, np.ndarray] = {}
    if song.kind == "midi":
        stems = _midi_stems(song)
    else:
        if not song.chance(0.04):
            stems["drums"] = _drums(song)
        if not song.chance(0.03):
            stems["bass"] = _bass(song)
        stems["other"] = _other(song)
    if not song.chance(0.12) and (singing := _vocals(song)) is not None:
        stems["vocals"] = singing
    stems = {stem: audio for stem, audio in stems.items() if fx.rms(audio) > 1e-5}
    if not stems:  # a piece that begins with a long rest
        stems = {"other": _other(song)}
    return _mix(song, stems), _facts(song, song.kind)


def make_low_end(
    seed: Seed,
    ingredients: Ingredients,
    settings: SongSettings | None = None,
    *,
    line: Line = "pattern",
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Drums and a deep bass alone, as `make_song`: what shares the lowest octaves is heard most.

    Args:
        seed, ingredients, settings: as for `make_song`.
        line: "loose", the bass is played as a player feels it, in no pattern; "punch", so too, and
            its notes begin as a kick does; "mono", one voice that jumps and slides.
    """
    song = Song(seed, ingredients, settings or SongSettings(), "electronic")
    stems = _mix(song, {"drums": _drums(song), "bass": _deep_bass(song, line)})
    return stems, _facts(song, "low end")


def _facts(song: Song, style: str) -> dict[str, Any]:
    return {
        "style": style,
        "tempo": round(song.plan.tempo, 1),
        "licences": sorted(song.credits),
    }


def _play_drums(song: Song, notes: Sequence[Note]) -> np.ndarray:
    """The notes on a sampled kit, a drum machine or a soundfont kit."""
    rng, kits = song.rng, song.ingredients.kits
    machine = 0.1
    if song.kind == "electronic":
        machine = 0.65 if len(kits) < 2 else 0.45
    draw = rng.random()
    if draw < machine:
        return song.play(notes, synth.machine_kit(rng))
    if draw < machine + 0.12 and song.ingredients.soundfont:
        return song.play_font(None, notes)
    if not kits:
        return song.play(notes, synth.machine_kit(rng))
    kit = kits[_chosen(rng, kits)]
    song.use(kit)
    audio = song.play(notes, synth.sampled_kit(kit, rng.uniform(0.88, 1.12)))
    if song.kind == "electronic":
        audio = fx.saturate(audio, rng.uniform(0, 1.5))
    return audio


def _chosen(rng: np.random.Generator, instruments: Mapping[str, Sequence[synth.Sample]]) -> str:
    """One of the folders that instruments lie in, and one of those in it, all as likely."""
    folders: dict[Path, list[str]] = {}
    for name, samples in instruments.items():
        folders.setdefault(samples[0].path.parent, []).append(name)
    names = list(folders.values())[rng.integers(len(folders))]
    return names[rng.integers(len(names))]


def _drums(song: Song) -> np.ndarray:
    if song.performance is not None:
        song.credits.add(song.ingredients.credit("midi/groove"))
        notes = compose.groove(song.performance, song.plan.tempo, song.seconds)
        on = set(song.bars(0.85))
        notes = [note for note in notes if int(note.start / song.plan.bar_s) in on]
    else:
        notes = compose.beat(song.rng, song.plan, song.bars(0.85))
    song.kicks = [note.start for note in notes if note.pitch in (35, 36)]
    audio = _play_drums(song, notes)
    if song.chance(0.2):
        fill = _play_drums(song, compose.beat(song.rng, song.plan, song.bars(0.4)))
        audio = audio + fill * 0.6
    audio = fx.saturate(audio, song.rng.uniform(-1, 1.2))
    if song.chance(0.5):
        audio = fx.compress(audio, song.rng.uniform(1.5, 4), 0.08)
    return fx.reverb(audio, song.rng, song.rng.uniform(0.2, 0.9), song.rng.uniform(0, 0.25))


def _play_bass(song: Song, notes: Sequence[Note], machine: float) -> np.ndarray:
    rng, basses = song.rng, song.ingredients.basses
    draw = rng.random()
    if draw < machine:
        return song.play(notes, synth.patch(rng, "bass"))
    if draw < machine + 0.15 and song.ingredients.soundfont:
        return song.play_font(int(rng.integers(32, 40)), notes)
    if not basses:
        return song.play(notes, synth.patch(rng, "bass"))
    played = basses[_chosen(rng, {name: of["sustain"] for name, of in basses.items()})]
    short = "staccato" in played and song.chance(0.3)
    samples = played["staccato" if short else "sustain"]
    song.use(samples)
    voice = synth.sampled(samples)
    return fx.butter(song.play(notes, voice), rng.uniform(1500, 7000), "low", 1)


def _bass(song: Song) -> np.ndarray:
    """A bass line, or in half of the electronic songs a sustained drone with a soft pad in it."""
    rng, electronic = song.rng, song.kind == "electronic"
    octave = int(rng.choice((1, 1, 2))) if electronic else int(rng.choice((1, 2)))
    if electronic and song.chance(0.5):
        notes = compose.bass_line(rng, song.plan, song.bars(0.8), octave, song.chance(0.6))
        audio = song.play(notes, synth.patch(rng, "drone"))
        if song.chance(0.5):
            held = compose.chords(rng, song.plan, song.bars(0.8), held=True)
            played = song.play(held, synth.patch(rng, "pad"))
            pad = fx.butter(played, rng.uniform(200, 600), "low")
            audio += pad * (fx.rms(audio) / fx.rms(pad) * rng.uniform(0.03, 0.2))
    else:
        notes = compose.bass_line(rng, song.plan, song.bars(0.75), octave)
        audio = _play_bass(song, notes, 0.8 if electronic else 0.15)
    if song.chance(0.5):
        audio = fx.saturate(audio, rng.uniform(0.2, 2.5))
    if song.chance(0.5):
        audio = fx.compress(audio, rng.uniform(2, 5))
    return fx.chorus(audio, rng, 1.5) if song.chance(0.15) else audio


_DEEP_ROLES = {
    "pattern": ("deep", "deep", "drone", "bass"),
    "loose": ("loose", "bass"),
    "punch": ("punch", "punch", "punch", "loose"),
}


def _deep_layer(song: Song, line: str, octave: int) -> np.ndarray:
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
    return song.play(notes, synth.patch(rng, str(rng.choice(_DEEP_ROLES[line]))))


def _deep_bass(song: Song, line: str) -> np.ndarray:
    """Nearly nothing above 200 Hz: held or played, swelling or beating, dry or in a room."""
    rng, plan = song.rng, song.plan
    audio = np.zeros((song.samples, 2), np.float32)
    for _ in range(int(rng.choice((1, 1, 2)))):
        layer = _deep_layer(song, line, int(rng.choice((0, 1, 1, 1, 2))))
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
        pad = song.play(held, synth.patch(rng, "pad"))
        audio += pad * (fx.rms(audio) / fx.rms(pad) * 10 ** (rng.uniform(-34, -14) / 20))
    if song.chance(0.3):
        audio = fx.reverb(audio, rng, rng.uniform(0.4, 2.5), rng.uniform(0, 0.4))
    return fx.compress(audio, rng.uniform(2, 5)) if song.chance(0.4) else audio


def _guitar(song: Song, notes: Sequence[Note]) -> np.ndarray:
    rng, guitars = song.rng, song.ingredients.guitars
    played = guitars[list(guitars)[rng.integers(len(guitars))]]
    short = song.chance(0.2) and "staccato" in played
    samples = played["staccato" if short else "sustain"]
    song.use(samples)
    notes = [note._replace(pitch=max(40, min(86, note.pitch))) for note in notes]
    audio = song.play(notes, synth.sampled(samples))
    if song.chance(0.45):  # an amplifier and its cabinet
        audio = fx.saturate(fx.butter(audio, 120, "high"), rng.uniform(1, 12))
        audio = fx.butter(audio, rng.uniform(3500, 6000), "low", 3)
    return audio


def _other_layer(song: Song, role: str) -> np.ndarray:
    """One layer: a held pad, rhythmic chords, an arpeggio or a lead; on a random instrument."""
    rng, plan = song.rng, song.plan
    bars = song.bars(rng.uniform(0.35, 0.8))
    strings = song.chance(0.4 if song.kind == "band" else 0.1) and bool(song.ingredients.guitars)
    if role in ("pad", "chords"):
        notes = compose.chords(rng, plan, bars, role == "pad", 0.012 if strings else 0.0)
    else:
        notes = (compose.arpeggio if role == "pluck" else compose.melody)(rng, plan, bars)
    if strings:
        audio = _guitar(song, notes)
    elif song.chance(0.25 if song.kind == "electronic" else 0.6) and song.ingredients.soundfont:
        audio = song.play_font(int(rng.choice(_OTHER_PROGRAMS)), notes)
    else:
        audio = song.play(notes, synth.patch(rng, "pluck" if role == "chords" else role))
    audio = fx.butter(audio, rng.uniform(30, 220), "high", 1)
    if song.chance(0.3):
        audio = fx.chorus(audio, rng)
    if song.chance(0.4):
        beats = rng.choice((0.5, 0.75, 1, 1 / 3))
        audio = fx.echo(
            audio, beats * 60 / plan.tempo, rng.uniform(0.3, 0.7), rng.uniform(0.1, 0.5)
        )
    balance = rng.uniform(-0.6, 0.6) * (role != "pad")
    audio = audio * np.array([1 - max(0, balance), 1 + min(0, balance)], np.float32)
    levelled: np.ndarray = audio * (10 ** (rng.uniform(-8, 0) / 20) / fx.rms(audio))
    return levelled


def _other(song: Song) -> np.ndarray:
    roles = ("pad", "chords", "pluck", "lead")
    count = int(song.rng.choice((2, 3, 4)))
    layers = [_other_layer(song, str(song.rng.choice(roles))) for _ in range(count)]
    audio = sum(layers[1:], layers[0])
    return fx.reverb(audio, song.rng, song.rng.uniform(0.5, 3), song.rng.uniform(0, 0.5))


def _midi_stems(song: Song) -> dict[str, np.ndarray]:
    """A band's piece: channel 10 is drums, programs 32-39 bass, the rest other."""
    parts: dict[tuple[int, int], list[Note]] = {}
    path = ""
    for path in song.rng.permutation([str(path) for path in song.ingredients.pieces]):
        parts = compose.midi_parts(str(path))
        end = max((note.start for notes in parts.values() for note in notes), default=0)
        if end > 45 and sum(map(len, parts.values())) > 300:
            break
    song.credits.add(song.ingredients.credit(f"midi/{Path(path).parent.name}"))
    shift = int(song.rng.integers(-3, 4))
    drums: list[Note] = []
    bass: list[Note] = []
    other: list[tuple[int | None, Sequence[Note]]] = []
    for (channel, program), notes in parts.items():
        notes = [note for note in notes if note.start < song.seconds]
        if channel == 9:
            drums += notes
        elif notes:
            moved = [n._replace(pitch=int(np.clip(n.pitch + shift, 12, 108))) for n in notes]
            if 32 <= program < 40:
                bass += moved
            else:
                other.append((program, moved))
    stems = {}
    if drums:
        stems["drums"] = _play_drums(song, drums)
        song.kicks = [note.start for note in drums if note.pitch in (35, 36)]
    if bass:
        stems["bass"] = _play_bass(song, bass, 0.3)
    if other and song.ingredients.soundfont:
        song.credits.add(song.ingredients.soundfont_credit())
        stems["other"] = soundfont.play(song.ingredients.soundfont, other, song.samples, True)
    elif other:
        layers = [
            song.play(notes, synth.patch(song.rng, str(song.rng.choice(("pluck", "pad", "lead")))))
            for _, notes in other
        ]
        stems["other"] = sum(layers[1:], layers[0])
    return stems


class _Recording:
    """Real singing, with random access: 16-bit .npy (samples, 2), or sound."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._array = np.load(path, mmap_mode="r") if path.suffix == ".npy" else None
        self.samples = soundfile.info(path).frames if self._array is None else len(self._array)

    def read(self, start: int, samples: int) -> np.ndarray:
        """(samples, 2), float32 within ±1."""
        if self._array is None:
            audio, _ = soundfile.read(self._path, samples, start, dtype="float32", always_2d=True)
            return audio if audio.shape[1] == 2 else np.repeat(audio[:, :1], 2, axis=1)
        stretch: np.ndarray = self._array[start : start + samples].astype(np.float32) / 32768
        return stretch


def _recorded_vocals(song: Song) -> np.ndarray:
    """The loudest of six excerpts of real singing, at another speed now and then."""
    song.credits.add(song.settings.recorded_credit)
    paths = song.settings.recorded_vocals
    chosen = int(song.rng.choice(np.arange(len(paths))))
    recording = _Recording(paths[chosen])
    starts = song.rng.integers(0, max(1, recording.samples - song.samples), 6)
    excerpts = [recording.read(int(start), song.samples) for start in starts]
    levels = [np.mean(np.square(excerpt[::97])) for excerpt in excerpts]
    excerpt = excerpts[int(np.argmax(levels))]
    if song.chance(0.6):
        excerpt = synth.repitch(excerpt, 2 ** (song.rng.uniform(-2.5, 2.5) / 12))
    out = np.zeros((song.samples, 2), np.float32)
    out[: len(excerpt)] = excerpt[: song.samples]
    return out


def _voice_pieces(song: Song) -> list[np.ndarray]:
    """Phrases of one speaker: sung by WORLD, or unchanged."""
    rng, there = song.rng, song.ingredients.voices
    names = list(there)
    shares = [VOICE_SHARES.get(name, 0.1) for name in names]
    if names != list(VOICE_SHARES):
        shares = [share / sum(shares) for share in shares]
    folder = str(rng.choice(names, p=shares))
    song.credits.add(song.ingredients.credit(f"voices/{folder}"))
    entries = there[folder]
    entry = entries[rng.integers(len(entries))]
    top = song.ingredients.folder / "voices"
    is_sung = entry["kind"] == "sung"
    if is_sung and entry["dur"] < 3:  # shouts and vowels: no phrase by itself
        chosen = [entries[i] for i in rng.integers(len(entries), size=10)]
        return [voices.stereo(voices.load(top / one["file"]), rng) for one in chosen]
    if not is_sung and entry["dur"] < 20:
        same = [one for one in entries if one["speaker"] == entry["speaker"]]
        mono = np.concatenate([voices.load(top / one["file"]) for one in same])
    else:
        start = 0.0 if is_sung else rng.uniform(12, max(13, entry["dur"] - 18))
        mono = voices.load(top / entry["file"], start, 11)
    if is_sung or song.chance(0.25) or not song.ingredients.sing:
        return voices.phrases(voices.stereo(mono, rng))
    centre = (54 if (entry.get("f0_median") or 200) < 165 else 64) + int(rng.integers(-3, 5))
    choirs = song.settings.choirs
    many = choirs > 0 and song.chance(choirs)
    sung = (voices.choir_phrases if many else voices.sung_phrases)(rng, mono, song.plan, centre)
    return voices.phrases(fx.butter(sung, 90, "high"))


def _vocals(song: Song) -> np.ndarray | None:
    rng = song.rng
    if song.chance(0.35) and song.settings.recorded_vocals:
        return _recorded_vocals(song)
    if not song.ingredients.voices:
        return None
    pieces = _voice_pieces(song)
    audio = voices.lay_out(rng, pieces, song.plan, song.samples, rng.uniform(0.4, 0.8))
    audio = fx.compress(audio, rng.uniform(2, 5), 0.1)
    if song.chance(0.5):
        delay = rng.choice((0.5, 0.75, 1)) * 60 / song.plan.tempo
        audio = fx.echo(audio, delay, rng.uniform(0.2, 0.6), rng.uniform(0.05, 0.4))
    return fx.reverb(audio, rng, rng.uniform(0.4, 2.5), rng.uniform(0, 0.4))


def _mix(song: Song, stems: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Levels, EQ, pumping and a limiter; the stems' sum stays below full scale."""
    rng = song.rng
    drum_db = rng.uniform(-28, -20)
    bass_db = drum_db + rng.uniform(-8, 10)
    if song.kind == "electronic" and song.chance(0.45):
        bass_db = drum_db + rng.uniform(7, 16)
    levels = {"drums": drum_db, "bass": bass_db}
    levels |= {"other": rng.uniform(-33, -23), "vocals": rng.uniform(-33, -21)}
    pumping = song.kind == "electronic" and song.chance(0.5)
    depth, release = rng.uniform(0.2, 0.8), rng.uniform(0.05, 0.2)
    mixed = {}
    for stem, audio in stems.items():
        tilted = fx.tilt(audio, rng.uniform(-3, 3) * (0.4 if stem == "bass" else 1))
        if pumping and stem in ("bass", "other"):
            tilted = fx.duck(tilted, song.kicks, depth, release)
        mixed[stem] = tilted * (10 ** (levels[stem] / 20) / fx.rms(tilted))
    peak = float(np.abs(_sum(mixed)).max())
    ceiling = 0.95
    if song.chance(0.35):  # a loud master: the limiter works on the sum, stems get its gain curve
        curve = fx.limiter_curve(_sum(mixed), peak * rng.uniform(0.35, 0.8))
        mixed = {stem: audio * curve for stem, audio in mixed.items()}
        peak = float(np.abs(_sum(mixed)).max())
    gain = min(ceiling / peak, 10 ** (rng.uniform(-2, 8) / 20))
    loudest = max(float(np.abs(audio).max()) for audio in mixed.values())
    gain = min(gain, 0.99 / loudest)
    return {stem: (audio * gain).astype(np.float32) for stem, audio in mixed.items()}


def _sum(stems: dict[str, np.ndarray]) -> np.ndarray:
    first, *others = stems.values()
    total: np.ndarray = sum(others, first)
    return total
