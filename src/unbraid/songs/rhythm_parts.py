"""Drums and bass of a made-up song, and which instruments play them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from unbraid.songs import compose, patches, synth
from unbraid.songs import effects as fx
from unbraid.songs.notes import Note
from unbraid.songs.song import Song


def drums(song: Song) -> np.ndarray:
    """A drummer's performance or a written beat; (samples, 2)."""
    if song.performance is not None:
        song.credits.add(song.ingredients.credit("midi/groove"))
        notes = compose.groove(song.performance, song.plan.tempo, song.seconds)
        on = set(song.bars(0.85))
        notes = [note for note in notes if int(note.start / song.plan.bar_s) in on]
    else:
        notes = compose.beat(song.rng, song.plan, song.bars(0.85))
    song.kicks = [note.start for note in notes if note.pitch in (35, 36)]
    audio = play_drums(song, notes)
    if song.chance(0.2):
        fill = play_drums(song, compose.beat(song.rng, song.plan, song.bars(0.4)))
        audio = audio + fill * 0.6
    audio = fx.saturate(audio, song.rng.uniform(-1, 1.2))
    if song.chance(0.5):
        audio = fx.compress(audio, song.rng.uniform(1.5, 4), 0.08)
    return fx.reverb(audio, song.rng, song.rng.uniform(0.2, 0.9), song.rng.uniform(0, 0.25))


def bass(song: Song) -> np.ndarray:
    """A bass line, or in half of the electronic songs a sustained drone with a soft pad in it."""
    rng, electronic = song.rng, song.kind == "electronic"
    octave = int(rng.choice((1, 1, 2))) if electronic else int(rng.choice((1, 2)))
    if electronic and song.chance(0.5):
        notes = compose.bass_line(rng, song.plan, song.bars(0.8), octave, song.chance(0.6))
        audio = song.play(notes, patches.patch(rng, "drone"))
        if song.chance(0.5):
            held = compose.chords(rng, song.plan, song.bars(0.8), held=True)
            played = song.play(held, patches.patch(rng, "pad"))
            pad = fx.butter(played, rng.uniform(200, 600), "low")
            audio += pad * (fx.rms(audio) / fx.rms(pad) * rng.uniform(0.03, 0.2))
    else:
        notes = compose.bass_line(rng, song.plan, song.bars(0.75), octave)
        audio = play_bass(song, notes, 0.8 if electronic else 0.15)
    if song.chance(0.5):
        audio = fx.saturate(audio, rng.uniform(0.2, 2.5))
    if song.chance(0.5):
        audio = fx.compress(audio, rng.uniform(2, 5))
    return fx.chorus(audio, rng, 1.5) if song.chance(0.15) else audio


def play_drums(song: Song, notes: Sequence[Note]) -> np.ndarray:
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


def play_bass(song: Song, notes: Sequence[Note], machine: float) -> np.ndarray:
    """The notes on a synthesizer (as likely as `machine`), a soundfont or a sampled bass."""
    rng, basses = song.rng, song.ingredients.basses
    draw = rng.random()
    if draw < machine:
        return song.play(notes, patches.patch(rng, "bass"))
    if draw < machine + 0.15 and song.ingredients.soundfont:
        return song.play_font(int(rng.integers(32, 40)), notes)
    if not basses:
        return song.play(notes, patches.patch(rng, "bass"))
    played = basses[_chosen(rng, {name: of["sustain"] for name, of in basses.items()})]
    short = "staccato" in played and song.chance(0.3)
    samples = played["staccato" if short else "sustain"]
    song.use(samples)
    voice = synth.sampled(samples)
    return fx.butter(song.play(notes, voice), rng.uniform(1500, 7000), "low", 1)


def _chosen(rng: np.random.Generator, instruments: Mapping[str, Sequence[synth.Sample]]) -> str:
    """One of the folders that instruments lie in, and one of those in it, all as likely."""
    folders: dict[Path, list[str]] = {}
    for name, samples in instruments.items():
        folders.setdefault(samples[0].path.parent, []).append(name)
    names = list(folders.values())[rng.integers(len(folders))]
    return names[rng.integers(len(names))]
