"""All else that plays in a made-up song, and the parts of a band's MIDI piece."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unbraid.songs import compose, patches, soundfont, synth
from unbraid.songs import effects as fx
from unbraid.songs.notes import Note
from unbraid.songs.rhythm_parts import play_bass, play_drums
from unbraid.songs.song import Song

_OTHER_PROGRAMS = (
    *(0, 1, 2, 4, 5, 7, 11, 12, 16, 18, 19, 21, 24, 25, 26, 27, 28, 29, 30, 40, 46, 48, 49, 50),
    *(51, 56, 60, 61, 62, 63, 65, 66, 71, 73, 75, 80, 81, 82, 84, 87, 88, 89, 90, 91, 92, 93, 94),
    *(95, 98, 99, 102, 104, 105, 108, 114),
)


def other(song: Song) -> np.ndarray:
    """Two to four layers of pads, chords, arpeggios and leads in one room; (samples, 2)."""
    roles = ("pad", "chords", "pluck", "lead")
    count = int(song.rng.choice((2, 3, 4)))
    layers = [_other_layer(song, str(song.rng.choice(roles))) for _ in range(count)]
    audio = sum(layers[1:], layers[0])
    return fx.reverb(audio, song.rng, song.rng.uniform(0.5, 3), song.rng.uniform(0, 0.5))


def midi_stems(song: Song) -> dict[str, np.ndarray]:
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
        stems["drums"] = play_drums(song, drums)
        song.kicks = [note.start for note in drums if note.pitch in (35, 36)]
    if bass:
        stems["bass"] = play_bass(song, bass, 0.3)
    if other and song.ingredients.soundfont:
        song.credits.add(song.ingredients.soundfont_credit())
        stems["other"] = soundfont.play(song.ingredients.soundfont, other, song.samples, True)
    elif other:
        layers = [
            song.play(
                notes, patches.patch(song.rng, str(song.rng.choice(("pluck", "pad", "lead"))))
            )
            for _, notes in other
        ]
        stems["other"] = sum(layers[1:], layers[0])
    return stems


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
        audio = song.play(notes, patches.patch(rng, "pluck" if role == "chords" else role))
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
