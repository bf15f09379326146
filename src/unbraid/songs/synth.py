"""What plays notes: samples, drum machines, a wavetable and FM synthesizer.

A `Voice` makes the sound of one note, (samples, 2), from its pitch, length (s) and velocity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import lfilter

from unbraid.audio.container import shown
from unbraid.errors import SettingsError
from unbraid.songs.effects import RATE, butter, pan
from unbraid.songs.notes import Note, hertz_curve

Voice = Callable[[int, float, int], np.ndarray]
TABLE = 4096


def render(notes: Iterable[Note], voice: Voice, samples: int) -> np.ndarray:
    """Sum of the voice's sounds, each at the start of its note; (samples, 2).

    Loops repeat the same notes, so each distinct one is made once.
    """
    out = np.zeros((samples, 2), np.float32)
    made: dict[tuple[int, float, int], np.ndarray] = {}
    for note in notes:
        key = (note.pitch, round(note.length, 2), note.velocity // 16 * 16 + 8)
        if key not in made:
            made[key] = voice(*key)
        start = int(note.start * RATE)
        if 0 <= start < samples:
            piece = made[key][: samples - start]
            out[start : start + len(piece)] += piece
    return out


# --- samples ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """A recorded note or hit.

    Attributes:
        path: its file.
        pitch: MIDI pitch as it sounds, or the General MIDI drum.
        velocities: lowest and highest that it is meant for.
    """

    path: Path
    pitch: int
    velocities: tuple[int, int]


@lru_cache(maxsize=512)
def _load(path: Path) -> tuple[np.ndarray, int]:
    try:
        audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise SettingsError(f"{shown(path)} is not a readable sample: {error}") from error
    return audio, rate


def repitch(audio: np.ndarray, ratio: float) -> np.ndarray:
    """(samples, channels) played `ratio` times as fast, by linear interpolation."""
    at = np.arange(0, len(audio) - 1, ratio)
    index = np.arange(len(audio))
    return np.stack([np.interp(at, index, channel) for channel in audio.T], 1).astype(np.float32)


def sampled(samples: Sequence[Sample]) -> Voice:
    """A voice that plays the nearest of some notes, faster or slower."""

    def voice(pitch: int, seconds: float, velocity: int) -> np.ndarray:
        near = min(abs(sample.pitch - pitch) for sample in samples)
        fits = [sample for sample in samples if abs(sample.pitch - pitch) == near]
        best = min(fits, key=lambda sample: abs(sum(sample.velocities) / 2 - velocity))
        audio, rate = _load(best.path)
        audio = repitch(audio, 2 ** ((pitch - best.pitch) / 12) * rate / RATE)
        audio = audio[: int((seconds + 0.08) * RATE)].copy()
        fade = min(len(audio), int(0.07 * RATE))
        audio[len(audio) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)[:, None]
        note: np.ndarray = _two(audio) * np.float32(0.3 + 0.7 * velocity / 127)
        return note

    return voice


def _two(audio: np.ndarray) -> np.ndarray:
    return audio if audio.shape[1] == 2 else np.repeat(audio[:, :1], 2, axis=1)


# Drums of a Roland kit, as Groove MIDI has them, and the General MIDI drums that replace them.
GROOVE_NOTES = {22: 42, 26: 46, 40: 38, 43: 41, 50: 48, 58: 41, 44: 42, 39: 38, 54: 42, 55: 49}


def sampled_kit(samples: Sequence[Sample], tuning: float = 1.0) -> Voice:
    """A voice that plays recorded hits; tuning is a speed ratio for the whole kit."""
    known = {sample.pitch for sample in samples}

    def voice(pitch: int, _seconds: float, velocity: int) -> np.ndarray:
        note = GROOVE_NOTES.get(pitch, pitch)
        # Whatever a kit lacks is played on its closed hi-hat, or on what it has.
        note = note if note in known else 42 if 42 in known else min(known)
        layers = [sample for sample in samples if sample.pitch == note]
        best = min(layers, key=lambda sample: abs(sum(sample.velocities) / 2 - velocity))
        audio, rate = _load(best.path)
        audio = repitch(audio, tuning * rate / RATE)
        hit: np.ndarray = _two(audio) * np.float32(0.4 if pitch == 44 else 1.0)
        return hit

    return voice


# --- drum machine -----------------------------------------------------------------------------


def _sweep(high: float, low: float, drop_s: float, decay_s: float, seconds: float) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    phase = np.cumsum(low + (high - low) * np.exp(-time / drop_s)) / RATE
    tone: np.ndarray = np.sin(2 * np.pi * phase) * np.exp(-time / decay_s)
    return tone


def _hiss(
    rng: np.random.Generator, low: float, high: float, decay_s: float, seconds: float
) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    noise = rng.standard_normal(len(time))
    hiss: np.ndarray = butter(noise, (low, min(high, 21_000)), "band") * np.exp(-time / decay_s)
    return hiss


def machine_kit(rng: np.random.Generator) -> Voice:
    """A drum machine with its own random kick, snare, clap, hats, toms and cymbals."""
    u = rng.uniform
    drive = u(1, 4)
    kick = _sweep(u(120, 400), u(40, 62), u(0.01, 0.05), u(0.08, 0.35), 0.7)
    kick[:400] += u(0, 0.5) * rng.standard_normal(400) * np.exp(-np.arange(400) / 60)
    kick = np.tanh(kick * drive) / np.tanh(drive)
    snare = 0.6 * _sweep(u(220, 400), u(150, 210), 0.02, u(0.04, 0.12), 0.5)
    snare += u(0.5, 1.2) * _hiss(rng, u(400, 1500), u(7000, 16000), u(0.05, 0.18), 0.5)
    clap = np.zeros(int(0.5 * RATE))
    for burst in (0.0, 0.011, 0.023):
        part = _hiss(rng, u(700, 1100), u(3000, 9000), 0.008 if burst < 0.02 else u(0.06, 0.2), 0.4)
        clap[int(burst * RATE) : int(burst * RATE) + len(part)] += part
    metal = sum(
        np.sign(np.sin(2 * np.pi * u(2000, 9000) * np.arange(RATE * 2) / RATE)) for _ in "123456"
    )
    metal = butter(0.25 * metal + u(0.3, 1) * rng.standard_normal(RATE * 2), u(5000, 9000), "high")
    time = np.arange(RATE * 2) / RATE

    def cymbal(decay: float, seconds: float) -> np.ndarray:
        ringing: np.ndarray = (metal * np.exp(-time / decay))[: int(seconds * RATE)]
        return ringing

    rim = _sweep(1900, u(500, 1700), 0.003, 0.012, 0.1)
    hat, opened = cymbal(u(0.015, 0.05), 0.3), cymbal(u(0.12, 0.35), 0.9)
    crash, ride = cymbal(0.7, 2), cymbal(0.3, 1.2) * 0.6
    toms = [_sweep(f * 1.6, f, 0.03, 0.15, 0.6) for f in (85, 110, 140, 180)]
    sounds = {36: kick, 35: kick, 38: snare * 0.7, 39: clap * 0.8, 37: rim * 0.5, 42: hat * 0.3}
    sounds |= {46: opened * 0.3, 49: crash * 0.35, 57: crash * 0.35, 51: ride * 0.3, 53: ride * 0.3}
    sounds |= dict(zip((41, 45, 47, 48), (tom * 0.7 for tom in toms), strict=True))
    if u() < 0.4:
        sounds[38] = sounds[39]
    pans = {note: 0.0 if note < 40 else u(-0.5, 0.5) for note in sounds}

    def voice(pitch: int, _seconds: float, velocity: int) -> np.ndarray:
        note = GROOVE_NOTES.get(pitch, pitch)
        note = note if note in sounds else 42
        hit: np.ndarray = pan(sounds[note], pans[note]) * (velocity / 127) ** 1.5 * 0.7
        return hit

    return voice


# --- synthesizer ------------------------------------------------------------------------------


@lru_cache(maxsize=32)
def _bank(kind: str, resonance: float) -> np.ndarray:
    """Single cycles (cutoffs, TABLE); row i is low-passed at harmonic 2^(i / 2 - 1)."""
    k = np.arange(1, 1025)
    odd = k % 2
    amplitude = {
        "saw": 1 / k,
        "square": odd / k,
        "triangle": odd / k**2 * 1.5,
        "pulse": np.sin(np.pi * k * 0.2) / k,
        "organ": np.isin(k, (1, 2, 3, 4, 6, 8)) / k**0.7,
        "sine": 1.0 * (k == 1),
    }[kind]
    rows = []
    for i in range(21):
        cutoff = 2 ** (i / 2 - 1)
        gain = 1 / np.sqrt(1 + (k / cutoff) ** 6)
        gain = gain + resonance * np.exp(-((np.log2(k / cutoff) / 0.25) ** 2))
        spectrum = np.zeros(TABLE // 2 + 1, complex)
        spectrum[1:1025] = -0.5j * TABLE * amplitude * gain
        rows.append(np.fft.irfft(spectrum))
    return np.array(rows, np.float32)


def oscillate(
    kind: str,
    resonance: float,
    frequency: np.ndarray,
    cutoff: np.ndarray,
    phase: float = 0.0,
) -> np.ndarray:
    """A filtered oscillator; frequency and cutoff in Hz at each sample, (samples,)."""
    bank = _bank(kind, resonance)
    index = ((np.cumsum(frequency / RATE) + phase) % 1 * TABLE).astype(np.int32) % TABLE
    row = np.clip(2 * (np.log2(np.minimum(cutoff, 14_000) / frequency) + 1), 0, 19.99)
    low = row.astype(np.int32)
    mix = (row - low).astype(np.float32)
    tone: np.ndarray = bank[low, index] * (1 - mix) + bank[low + 1, index] * mix
    return tone


def envelope(
    samples: int, hold: float, attack: float, decay: float, sustain: float, release: float
) -> np.ndarray:
    """Level of a note, (samples,): attack, decay, sustain, release; hold is its length in s."""
    time = np.arange(samples) / RATE
    shape = np.minimum(1, time / attack) * (sustain + (1 - sustain) * np.exp(-time / decay))
    faded = shape * np.exp(-np.maximum(0, time - hold) / (release / 3))
    return np.asarray(faded, np.float32)


def mono_synth(rng: np.random.Generator, notes: Sequence[Note], samples: int) -> np.ndarray:
    """One voice that never stops: a bass line whose pitch jumps or slides while it sounds.

    Notes that follow each other closely share one envelope now and then, as on a real monophonic
    synthesizer. float32 (samples, 2).
    """
    u, pick = rng.uniform, rng.choice
    kind = str(pick(("saw", "square", "pulse", "triangle", "sine")))
    resonance, cutoff, sweep, sweep_s = (
        round(u(0, 0.8), 2),
        u(50, 400),
        u(0, 3),
        10 ** u(-1.7, -0.3),
    )
    glide_s, decay_s, sustain, sub = 10 ** u(-3, -1.2), 10 ** u(-1.3, 0), u(0.1, 1), u(0, 1.5)
    retrigger, release_s, drive = u(), 10 ** u(-2, -0.7), u(0, 1.5)
    pitch, gate, since = np.full(samples, 30.0), np.zeros(samples), np.full(samples, 10.0)
    end = 0
    for note in sorted(notes):
        start = min(int(note.start * RATE), samples)
        joined = start < end + 0.03 * RATE and u() > retrigger
        end = min(int((note.start + note.length) * RATE) + 1, samples)
        pitch[start:] = note.pitch
        gate[start:end] = 0.4 + 0.6 * note.velocity / 127
        if not joined:
            since[start:] = np.arange(samples - start) / RATE
    frequency = hertz_curve(_follow(pitch, glide_s))
    level = _follow(gate, release_s) * (sustain + (1 - sustain) * np.exp(-since / decay_s))
    opened = np.maximum(cutoff * 2 ** (sweep * np.exp(-since / sweep_s)), frequency * 0.7)
    out = np.zeros(samples)
    for detune in rng.uniform(-1, 1, int(pick((1, 1, 2, 3)))) * u(0, 25):
        out += oscillate(kind, resonance, frequency * 2 ** (detune / 1200), opened, u())
    out += sub * np.sin(2 * np.pi * np.cumsum(frequency) / RATE)
    if drive > 0.3:
        out = np.tanh(out * drive) / drive
    return pan(out * level * 0.3, 0.0).astype(np.float32)


def _follow(wanted: np.ndarray, seconds: float) -> np.ndarray:
    """One-pole smoothing with this time constant."""
    keep = np.exp(-1 / (seconds * RATE))
    start = [keep * wanted[0]]
    smooth, _ = lfilter([1 - keep], [1, -keep], wanted, zi=start)
    return np.asarray(smooth)
