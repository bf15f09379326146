"""Phrases for vocal stems: speech as it is, and speech made to sing by the WORLD vocoder."""

import json
import sys
import types
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile
import soxr
from effects import RATE, butter, pan
from synth import hertz

if "pkg_resources" not in sys.modules:  # pyworld asks it only for its own version
    sys.modules["pkg_resources"] = types.ModuleType("pkg_resources")
    sys.modules["pkg_resources"].get_distribution = lambda _: types.SimpleNamespace(version="")
import pyworld

FRAME_S = 0.005


def clips(data, folders):
    """The entries of voices.json whose file lies in one of the folders."""
    entries = json.loads((Path(data) / "voices" / "voices.json").read_text())
    return [entry for entry in entries if entry["file"].split("/")[0] in folders]


def load(data, entry, start_s=0.0, seconds=None):
    """Mono float32 at 44.1 kHz, peak 0.5."""
    path = Path(data) / "voices" / entry["file"]
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    stop = None if seconds is None else int((start_s + seconds) * rate)
    audio = audio.mean(axis=1)[int(start_s * rate) : stop]
    audio = soxr.resample(audio, rate, RATE, quality="VHQ")
    return audio * (0.5 / max(1e-4, np.abs(audio).max()))


def phrases(audio, longest_s=6.0):
    """Cut ``(samples, 2)`` at pauses; pieces with 10 ms fades, the room between gated away."""
    hop = RATE // 50
    frames = audio[: len(audio) // hop * hop].reshape(-1, 2 * hop)
    level = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-10)
    loud = level > np.percentile(level, 95) - 30
    loud = np.convolve(loud, np.ones(9), "same") > 0
    edges = np.flatnonzero(np.diff(np.r_[0, loud.astype(int), 0]))
    pieces = []
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        last = min(last, first + int(longest_s * 50))
        piece = audio[first * hop : last * hop].copy()
        if len(piece) > 0.3 * RATE:
            ramp = np.linspace(0, 1, 441, dtype=np.float32)[:, None]
            piece[:441] *= ramp
            piece[-441:] *= ramp[::-1]
            pieces.append(piece)
    return pieces


def lay_out(rng, pieces, plan, samples, share):
    """Phrases on half-bar starts with rests, until about ``share`` of the song is filled."""
    out, at, turn = np.zeros((samples, 2), np.float32), rng.uniform(0, 8), 0
    half = plan.bar_s / 2
    while at * RATE < samples and pieces:
        piece = pieces[turn % len(pieces)]
        start = int(at * RATE)
        piece = piece[: samples - start]
        out[start : start + len(piece)] += piece
        spent = len(piece) / RATE
        rest = rng.uniform(0.1, 2 * spent * (1 - share) / max(share, 0.1) + 0.2)
        at = np.ceil((at + spent + rest) / half) * half
        turn += 1
    return out


def _note_curve(rng, pitch, previous, frames):
    """f0 of one note in Hz: a scoop or a glide at its start, vibrato later, a slow drift."""
    time = np.arange(frames) * FRAME_S
    bend = -rng.uniform(0.2, 1.5) * np.exp(-time / 0.06)
    if previous is not None and rng.random() < 0.6:
        bend = (previous - pitch) * np.exp(-time / rng.uniform(0.02, 0.05))
    depth = 0.35 * rng.uniform(0.2, 1.3) * np.clip((time - 0.25) / 0.25, 0, 1)
    vibrato = depth * np.sin(2 * np.pi * rng.uniform(5, 6) * time)
    drift = 0.15 * np.sin(2 * np.pi * rng.uniform(0.4, 1) * time + rng.uniform(0, 6))
    return hertz(pitch + bend + vibrato + drift)


def _syllables(voiced):
    """Spans ``(first, last, is_voiced)`` of frames; voiced islands are cut about every 0.22 s."""
    edges = np.r_[0, np.flatnonzero(np.diff(voiced.astype(int))) + 1, len(voiced)]
    for first, last in pairwise(edges):
        if voiced[first] and last - first >= 12:
            parts = max(1, round((last - first) * FRAME_S / 0.22))
            cuts = np.linspace(first, last, parts + 1).astype(int)
            yield from ((a, b, True) for a, b in pairwise(cuts))
        else:
            yield first, last, False


def sing(rng, audio, plan, centre):
    """Speech sung: vowels stretched onto notes of the song's scale around MIDI pitch ``centre``."""
    audio = audio.astype(np.float64)
    f0, times = pyworld.dio(audio, RATE, f0_floor=70, f0_ceil=500, frame_period=1000 * FRAME_S)
    f0 = pyworld.stonemask(audio, f0, times, RATE)
    power = pyworld.cheaptrick(audio, f0, times, RATE)
    noise = pyworld.d4c(audio, f0, times, RATE)
    power, noise = _brighten(rng, power, noise)
    index, pitches = [], []
    octave = round((centre - plan.pitch(3, 0)) / 12)
    degree, previous, beat = int(rng.integers(0, 7)), None, 60 / plan.tempo
    for first, last, voiced in _syllables(f0 > 0):
        if not voiced:
            index.append(np.arange(first, last))
            pitches.append(np.zeros(last - first))
            continue
        length = beat * float(rng.choice((0.5, 0.5, 1, 1, 1.5, 2)))
        frames = max(last - first, int(min(length, 1.6) / FRAME_S))
        index.append(np.linspace(first, last - 1, frames).round().astype(int))
        degree = int(np.clip(degree + rng.integers(-2, 3), -3, 9))
        pitch = plan.pitch(degree, octave)
        pitches.append(_note_curve(rng, pitch, previous, frames))
        previous = pitch
    index, f0 = np.concatenate(index), np.concatenate(pitches)
    return f0, np.ascontiguousarray(power[index]), np.ascontiguousarray(noise[index])


def _brighten(rng, power, noise):
    """Another singer (frequency axis warped), and a treble that speech at 22 kHz does not have."""
    bins = np.arange(power.shape[1])
    warp = bins * rng.uniform(0.84, 1.15)
    at = np.clip(warp, 0, bins[-1])
    low, mix = at.astype(int), at % 1
    high = np.minimum(low + 1, bins[-1])
    power = np.exp(np.log(power[:, low]) * (1 - mix) + np.log(power[:, high]) * mix)
    noise = noise[:, low] * (1 - mix) + noise[:, high] * mix
    hz = bins * RATE / 2 / bins[-1]
    edge = int(np.searchsorted(hz, 8000))
    fill = power[:, edge - 40 : edge].mean(axis=1, keepdims=True) * (hz[edge:] / 8000) ** -2
    power[:, edge:] = fill
    noise[:, edge:] = 1
    total = power.sum()
    share = power[:, hz > 5000].sum() / total
    lift = np.clip(10 ** (-1.9) / share, 1, 30)
    power *= 1 + (lift - 1) * np.clip((hz - 3000) / 2500, 0, 1)
    return power, noise


def sung_phrases(rng, audio, plan, centre):
    """Stereo phrases of one singer, sometimes with a double and a third above."""
    f0, power, noise = sing(rng, audio, plan, centre)
    lead = pyworld.synthesize(f0, power, noise, RATE, 1000 * FRAME_S).astype(np.float32)
    layers = [pan(lead, rng.uniform(-0.15, 0.15))]
    doubles = int(rng.choice((0, 0, 1, 2)))
    for side in (-1, 1)[:doubles]:
        interval = float(rng.choice((0, 0, 4, 3, 12)))
        shifted = f0 * 2 ** ((interval + rng.uniform(-0.08, 0.08)) / 12)
        voice = pyworld.synthesize(shifted, power, noise, RATE, 1000 * FRAME_S)
        late = int(rng.uniform(0.01, 0.03) * RATE)
        voice = np.roll(voice, late).astype(np.float32)
        layers.append(pan(voice, side * rng.uniform(0.3, 0.9)) * rng.uniform(0.3, 0.7))
    return sum(layers)


def stereo(mono, rng):
    return pan(butter(mono, 90, "high"), rng.uniform(-0.2, 0.2))
