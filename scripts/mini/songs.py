"""One synthetic song: its parts are drawn, played, mixed and limited, all from its seed."""

from pathlib import Path

import compose
import effects as fx
import numpy as np
import synth
import voices
from effects import RATE

GROOVE = "CC-BY-4.0: Groove MIDI Dataset"
MULDJORD = "CC-BY-4.0: MuldjordKit"
KARORYFER_BASS = "CC0-1.0: Karoryfer Growlybass and Swagbass"
KARORYFER_GUITAR = "CC0-1.0: Karoryfer Black And Green Guitars"
FREEDOOM = "BSD-3-Clause: Freedoom music"
SOUNDFONT = "MIT: Fluid (R3) General MIDI SoundFont by Frank Wen"
REAL = "CC0-1.0: Software-Entwicklungskit, Everything is Free"
VOICES = {
    "librivox": "Public domain: LibriVox",
    "vctk": "CC-BY-4.0: CSTR VCTK Corpus",
    "vocadito": "CC-BY-4.0: vocadito",
    "merry_orks": "CC0-1.0: Karoryfer 272 Merry Orks",
}
OTHER_PROGRAMS = (0, 1, 2, 4, 5, 7, 11, 12, 16, 18, 19, 21, 24, 25, 26, 27, 28, 29, 30, 40, 46, 48)
OTHER_PROGRAMS += (49, 50, 51, 56, 60, 61, 62, 63, 65, 66, 71, 73, 75, 80, 81, 82, 84, 87, 88, 89)
OTHER_PROGRAMS += (90, 91, 92, 93, 94, 95, 98, 99, 102, 104, 105, 108, 114)


class Song:
    """What the parts of one song share: its random numbers, plan, length and credits."""

    def __init__(self, seed, data, real_folder, kind=None):
        self.rng = np.random.default_rng(seed)
        self.data, self.real_folder = data, real_folder
        drawn = str(self.rng.choice(("electronic", "band", "midi"), p=(0.52, 0.34, 0.14)))
        self.kind = kind or drawn
        self.seconds = float(self.rng.uniform(60, 85))
        self.samples = int(self.seconds * RATE)
        self.credits, self.kicks = set(), []
        self.performance = None
        tempo = self.rng.uniform(85, 150)
        if self.kind == "band" or self.chance(0.15):
            performances = compose.groove_performances(data)
            tempo, self.performance = performances[self.rng.integers(len(performances))]
        self.plan = compose.make_plan(self.rng, tempo, self.seconds)

    def chance(self, probability):
        return self.rng.random() < probability

    def bars(self, share):
        return compose.active_bars(self.rng, self.plan, share)

    def play(self, notes, voice):
        return synth.render(notes, voice, self.samples)

    def play_font(self, program, notes):
        self.credits.add(SOUNDFONT)
        return synth.soundfont([(program, notes)], self.samples, self.chance(0.3))


def play_drums(song, notes):
    """The notes on a sampled kit, a drum machine or a soundfont kit."""
    rng = song.rng
    machine = 0.65 if song.kind == "electronic" else 0.1
    draw = rng.random()
    if draw < machine:
        return song.play(notes, synth.machine_kit(rng))
    if draw < machine + 0.12:
        return song.play_font(None, notes)
    song.credits.add(MULDJORD)
    audio = song.play(notes, synth.sampled_kit(song.data, rng.uniform(0.88, 1.12)))
    if song.kind == "electronic":
        audio = fx.saturate(audio, rng.uniform(0, 1.5))
    return audio


def drums(song):
    if song.performance is not None:
        song.credits.add(GROOVE)
        notes = compose.groove(song.performance, song.plan.tempo, song.seconds)
        on = set(song.bars(0.85).tolist())
        notes = [note for note in notes if int(note.start / song.plan.bar_s) in on]
    else:
        notes = compose.beat(song.rng, song.plan, song.bars(0.85))
    song.kicks = [note.start for note in notes if note.pitch in (35, 36)]
    audio = play_drums(song, notes)
    if song.chance(0.2):
        audio = audio + play_drums(song, compose.beat(song.rng, song.plan, song.bars(0.4))) * 0.6
    audio = fx.saturate(audio, song.rng.uniform(-1, 1.2))
    if song.chance(0.5):
        audio = fx.compress(audio, song.rng.uniform(1.5, 4), 0.08)
    return fx.reverb(audio, song.rng, song.rng.uniform(0.2, 0.9), song.rng.uniform(0, 0.25))


def play_bass(song, notes, machine):
    rng = song.rng
    draw = rng.random()
    if draw < machine:
        return song.play(notes, synth.patch(rng, "bass"))
    if draw < machine + 0.15:
        return song.play_font(int(rng.integers(32, 40)), notes)
    song.credits.add(KARORYFER_BASS)
    instrument = ("swag", "growly")[rng.integers(2)]
    short = instrument == "growly" and song.chance(0.3)
    voice = synth.sampled(song.data, "bass", instrument, "staccato" if short else "sustain")
    return fx.butter(song.play(notes, voice), rng.uniform(1500, 7000), "low", 1)


def bass(song):
    """A bass line, or in half of the electronic songs a sustained drone with a soft pad in it."""
    rng, electronic = song.rng, song.kind == "electronic"
    octave = int(rng.choice((1, 1, 2))) if electronic else int(rng.choice((1, 2)))
    if electronic and song.chance(0.5):
        notes = compose.bass_line(rng, song.plan, song.bars(0.8), octave, song.chance(0.6))
        audio = song.play(notes, synth.patch(rng, "drone"))
        if song.chance(0.5):
            pad = compose.chords(rng, song.plan, song.bars(0.8), held=True)
            pad = fx.butter(song.play(pad, synth.patch(rng, "pad")), rng.uniform(200, 600), "low")
            audio += pad * (fx.rms(audio) / fx.rms(pad) * rng.uniform(0.03, 0.2))
    else:
        notes = compose.bass_line(rng, song.plan, song.bars(0.75), octave)
        audio = play_bass(song, notes, 0.8 if electronic else 0.15)
    if song.chance(0.5):
        audio = fx.saturate(audio, rng.uniform(0.2, 2.5))
    if song.chance(0.5):
        audio = fx.compress(audio, rng.uniform(2, 5))
    return fx.chorus(audio, rng, 1.5) if song.chance(0.15) else audio


def deep_bass(song, loose):
    """Nearly nothing above 200 Hz: held or played, swelling or beating, dry or in a room."""
    rng, plan = song.rng, song.plan
    audio = np.zeros((song.samples, 2), np.float32)
    for _ in range(int(rng.choice((1, 1, 2)))):
        octave = int(rng.choice((0, 1, 1, 1, 2)))
        if loose:
            notes = compose.loose_line(rng, plan, song.bars(0.85), octave)
        else:
            notes = compose.bass_line(rng, plan, song.bars(0.85), octave, song.chance(0.4))
        notes = [note._replace(pitch=max(22, note.pitch)) for note in notes]
        role = str(rng.choice(("loose", "bass") if loose else ("deep", "deep", "drone", "bass")))
        layer = song.play(notes, synth.patch(rng, role))
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
        pad = song.play(compose.chords(rng, plan, song.bars(0.8), True), synth.patch(rng, "pad"))
        audio += pad * (fx.rms(audio) / fx.rms(pad) * 10 ** (rng.uniform(-34, -14) / 20))
    if song.chance(0.3):
        audio = fx.reverb(audio, rng, rng.uniform(0.4, 2.5), rng.uniform(0, 0.4))
    return fx.compress(audio, rng.uniform(2, 5)) if song.chance(0.4) else audio


def guitar(song, notes):
    rng = song.rng
    song.credits.add(KARORYFER_GUITAR)
    instrument = ("black", "green")[rng.integers(2)]
    articulation = "staccato" if song.chance(0.2) else "sustain"
    notes = [note._replace(pitch=max(40, min(86, note.pitch))) for note in notes]
    audio = song.play(notes, synth.sampled(song.data, "guitar", instrument, articulation))
    if song.chance(0.45):  # an amplifier and its cabinet
        audio = fx.saturate(fx.butter(audio, 120, "high"), rng.uniform(1, 12))
        audio = fx.butter(audio, rng.uniform(3500, 6000), "low", 3)
    return audio


def other_layer(song, role):
    """One layer: a held pad, rhythmic chords, an arpeggio or a lead; on a random instrument."""
    rng, plan = song.rng, song.plan
    bars = song.bars(rng.uniform(0.35, 0.8))
    strings = song.chance(0.4 if song.kind == "band" else 0.1)
    if role in ("pad", "chords"):
        notes = compose.chords(rng, plan, bars, role == "pad", 0.012 if strings else 0.0)
    else:
        notes = (compose.arpeggio if role == "pluck" else compose.melody)(rng, plan, bars)
    if strings:
        audio = guitar(song, notes)
    elif song.chance(0.25 if song.kind == "electronic" else 0.6):
        audio = song.play_font(int(rng.choice(OTHER_PROGRAMS)), notes)
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
    return audio * (10 ** (rng.uniform(-8, 0) / 20) / fx.rms(audio))


def other(song):
    roles = ("pad", "chords", "pluck", "lead")
    count = int(song.rng.choice((2, 3, 4)))
    audio = sum(other_layer(song, str(song.rng.choice(roles))) for _ in range(count))
    return fx.reverb(audio, song.rng, song.rng.uniform(0.5, 3), song.rng.uniform(0, 0.5))


def midi_stems(song):
    """A Freedoom piece: channel 10 is drums, programs 32-39 bass, the rest other."""
    song.credits.add(FREEDOOM)
    folder = Path(song.data) / "midi" / "freedoom"
    for path in song.rng.permutation(sorted(str(path) for path in folder.glob("*.mid"))):
        parts = compose.midi_parts(path)
        end = max((note.start for notes in parts.values() for note in notes), default=0)
        if end > 45 and sum(map(len, parts.values())) > 300:
            break
    shift = int(song.rng.integers(-3, 4))
    split = {"drums": [], "bass": [], "other": []}
    for (channel, program), notes in parts.items():
        notes = [note for note in notes if note.start < song.seconds]
        if channel == 9:
            split["drums"] += notes
        elif notes:
            moved = [n._replace(pitch=int(np.clip(n.pitch + shift, 12, 108))) for n in notes]
            split["bass" if 32 <= program < 40 else "other"].append((program, moved))
    stems = {}
    if split["drums"]:
        stems["drums"] = play_drums(song, split["drums"])
        song.kicks = [note.start for note in split["drums"] if note.pitch in (35, 36)]
    if split["bass"]:
        notes = [note for _, notes in split["bass"] for note in notes]
        stems["bass"] = play_bass(song, notes, 0.3)
    if split["other"]:
        song.credits.add(SOUNDFONT)
        stems["other"] = synth.soundfont(split["other"], song.samples, True)
    return stems


def real_vocals(song):
    """An excerpt of a training song's vocals, at another speed now and then."""
    song.credits.add(REAL)
    path = song.real_folder / f"real-{song.rng.choice(('Lithium', 'Caesium', 'Francium'))}"
    audio = np.load(path / "vocals.npy", mmap_mode="r")
    starts = song.rng.integers(0, len(audio) - song.samples, 6)
    levels = [
        np.mean(np.square(audio[s : s + song.samples : 97], dtype=np.float32)) for s in starts
    ]
    start = starts[int(np.argmax(levels))]
    excerpt = audio[start : start + song.samples].astype(np.float32) / 32768
    if song.chance(0.6):
        excerpt = synth.repitch(excerpt, 2 ** (song.rng.uniform(-2.5, 2.5) / 12))
    out = np.zeros((song.samples, 2), np.float32)
    out[: len(excerpt)] = excerpt[: song.samples]
    return out


def voice_pieces(song):
    """Phrases of one speaker: sung by WORLD, or as they are."""
    rng = song.rng
    folder = str(
        rng.choice(("librivox", "vctk", "vocadito", "merry_orks"), p=(0.76, 0.1, 0.1, 0.04))
    )
    song.credits.add(VOICES[folder])
    entries = voices.clips(song.data, (folder,))
    entry = entries[rng.integers(len(entries))]
    if folder == "merry_orks":
        chosen = [entries[i] for i in rng.integers(len(entries), size=10)]
        return [voices.stereo(voices.load(song.data, one), rng) for one in chosen]
    if folder == "vctk":
        entries = [one for one in entries if one["speaker"] == entry["speaker"]]
        mono = np.concatenate([voices.load(song.data, one) for one in entries])
    else:
        start = rng.uniform(12, max(13, entry["dur"] - 18)) if folder == "librivox" else 0.0
        mono = voices.load(song.data, entry, start, 11)
    if folder == "vocadito" or song.chance(0.25):
        return voices.phrases(voices.stereo(mono, rng))
    centre = (54 if entry["f0_median"] < 165 else 64) + int(rng.integers(-3, 5))
    sung = voices.sung_phrases(rng, mono, song.plan, centre)
    return voices.phrases(fx.butter(sung, 90, "high"))


def vocals(song):
    rng = song.rng
    if song.chance(0.35):
        return real_vocals(song)
    pieces = voice_pieces(song)
    audio = voices.lay_out(rng, pieces, song.plan, song.samples, rng.uniform(0.4, 0.8))
    audio = fx.compress(audio, rng.uniform(2, 5), 0.1)
    if song.chance(0.5):
        delay = rng.choice((0.5, 0.75, 1)) * 60 / song.plan.tempo
        audio = fx.echo(audio, delay, rng.uniform(0.2, 0.6), rng.uniform(0.05, 0.4))
    return fx.reverb(audio, rng, rng.uniform(0.4, 2.5), rng.uniform(0, 0.4))


def mix(song, stems):
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
    for stem, audio in stems.items():
        tilted = fx.tilt(audio, rng.uniform(-3, 3) * (0.4 if stem == "bass" else 1))
        if pumping and stem in ("bass", "other"):
            tilted = fx.duck(tilted, song.kicks, depth, release)
        stems[stem] = tilted * (10 ** (levels[stem] / 20) / fx.rms(tilted))
    mixture = sum(stems.values())
    peak = float(np.abs(mixture).max())
    ceiling = 0.95
    if song.chance(0.35):  # a loud master: the limiter works on the sum, stems get its gain curve
        curve = fx.limiter_curve(mixture, peak * rng.uniform(0.35, 0.8))
        stems = {stem: audio * curve for stem, audio in stems.items()}
        peak = float(np.abs(sum(stems.values())).max())
    gain = min(ceiling / peak, 10 ** (rng.uniform(-2, 8) / 20))
    loudest = max(float(np.abs(audio).max()) for audio in stems.values())
    gain = min(gain, 0.99 / loudest)
    return {stem: (audio * gain).astype(np.float32) for stem, audio in stems.items()}


def make_low_end(seed, data, loose=False):
    """Drums and a deep bass alone, as `make_song`: what shares the lowest octaves is heard most."""
    song = Song(seed, data, None, "electronic")
    stems = mix(song, {"drums": drums(song), "bass": deep_bass(song, loose)})
    return stems, {
        "style": "low end",
        "tempo": round(song.plan.tempo, 1),
        "licences": sorted(song.credits),
    }


def make_song(seed, data, real_folder):
    """Stems ``{name: float32 (samples, 2)}`` and the meta fields of synthetic song ``seed``."""
    song = Song(seed, data, real_folder)
    if song.kind == "midi":
        stems = midi_stems(song)
    else:
        stems = {}
        if not song.chance(0.04):
            stems["drums"] = drums(song)
        if not song.chance(0.03):
            stems["bass"] = bass(song)
        stems["other"] = other(song)
    if not song.chance(0.12):
        stems["vocals"] = vocals(song)
    stems = {stem: audio for stem, audio in stems.items() if fx.rms(audio) > 1e-5}
    stems = mix(song, stems)
    meta = {
        "style": song.kind,
        "tempo": round(song.plan.tempo, 1),
        "licences": sorted(song.credits),
    }
    return stems, meta
