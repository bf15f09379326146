"""Excerpts of all systems at one loudness: what raters hear."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from unbraid.audio.files import probe, read_blocks
from unbraid.audio.loudness import integrated_loudness
from unbraid.audio.resample import resample
from unbraid.audio.signal import Signal
from unbraid.data.tracks import MIXTURE, part_name
from unbraid.errors import SettingsError
from unbraid.pages.previews import read_spans

SAMPLE_RATE = 44100
AUDIBLE_DB = 20.0
"""An excerpt is taken where the true stem is within this of its loudest excerpt."""
MOST_EXTRA_GAIN_DB = 20.0
"""No sound is raised by more than this above what its reference is raised by."""

_CEILING = 10 ** (-1 / 20)
_FADE_S = 0.02
_STEP_S = 0.5
_SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aif", ".aiff"}


@runtime_checkable
class System(Protocol):
    """Something that has stems of tracks."""

    @property
    def name(self) -> str:
        """As results call it."""
        ...

    def excerpt(self, track: str, stem: str, start_s: float, seconds: float) -> Signal:
        """A piece of a stem, (2, samples) at 44.1 kHz."""
        ...


@dataclass(frozen=True)
class FolderSystem:
    """Stems in files: `root/TRACK/STEM.wav`, or any other sound file of that name.

    Attributes:
        name: as results call it.
        root: the folder.
    """

    name: str
    root: Path

    def tracks(self) -> set[str]:
        """Names of the folders that hold sounds."""
        if not self.root.is_dir():
            raise SettingsError(f"{self.name}: {str(self.root)!r} is not a folder of tracks")
        return {path.name for path in self.root.iterdir() if path.is_dir() and stem_files(path)}

    def file(self, track: str, stem: str) -> Path:
        """The file of a stem.

        Raises:
            SettingsError: if there is none.
        """
        found = stem_files(self.root / track).get(part_name(stem))
        if found is None:
            raise SettingsError(f"{self.name} has no {stem!r} of {track!r} in {str(self.root)!r}")
        return found

    def excerpt(self, track: str, stem: str, start_s: float, seconds: float) -> Signal:
        """A stretch of a stem, (2, samples) at 44.1 kHz.

        Raises:
            SettingsError: if there is no such stem.
        """
        return read_piece(self.file(track, stem), start_s, seconds)


@dataclass(frozen=True)
class Mixtures:
    """Songs as they were: `mixture` files of the references, or the sum of their stems."""

    references: FolderSystem

    def excerpt(self, track: str, start_s: float, seconds: float) -> Signal:
        """A stretch of a song, (2, samples) at 44.1 kHz."""
        files = stem_files(self.references.root / track)
        if MIXTURE in files:
            return read_piece(files[MIXTURE], start_s, seconds)
        pieces = [read_piece(path, start_s, seconds) for path in files.values()]
        samples = min(piece.shape[1] for piece in pieces)
        total: Signal = np.stack([piece[:, :samples] for piece in pieces]).sum(axis=0)
        return total


class ModelSystem:
    """Stems that a model makes of the excerpts, each with some seconds of the song around it.

    Args:
        name: as results call it.
        separate: (2, samples) at 44.1 kHz -> stem to signal of the same shape.
        mixtures: the songs.
        context_s: seconds before and after an excerpt that the model hears too.
    """

    def __init__(
        self,
        name: str,
        separate: Callable[[Signal], Mapping[str, Signal]],
        mixtures: Mixtures,
        context_s: float = 4.0,
    ) -> None:
        self._name = name
        self._separate = separate
        self._mixtures = mixtures
        self._context_s = context_s
        self._last: tuple[tuple[str, float, float], Mapping[str, Signal]] | None = None

    @property
    def name(self) -> str:
        """As results call it."""
        return self._name

    def excerpt(self, track: str, stem: str, start_s: float, seconds: float) -> Signal:
        """A stretch of a stem, (2, samples) at 44.1 kHz; the last one separated is kept.

        Raises:
            SettingsError: if the model gives no such stem.
        """
        first_s = max(0.0, start_s - self._context_s)
        length_s = start_s - first_s + seconds + self._context_s
        key = (track, first_s, length_s)
        if self._last is None or self._last[0] != key:
            self._last = key, self._separate(self._mixtures.excerpt(*key))
        if stem not in self._last[1]:
            raise SettingsError(f"{self.name} gives no {stem!r}, but {', '.join(self._last[1])}")
        begin = round((start_s - first_s) * SAMPLE_RATE)
        piece: Signal = self._last[1][stem][:, begin : begin + round(seconds * SAMPLE_RATE)]
        return piece


def stem_files(folder: Path) -> dict[str, Path]:
    """Stem, in lower case, to file, of the sound files in a folder."""
    if not folder.is_dir():
        return {}
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    return {part_name(path.stem): path for path in reversed(files)}


def read_piece(path: Path, start_s: float, seconds: float) -> Signal:
    """A piece of a sound file as stereo at 44.1 kHz; shorter where the file ends."""
    rate = probe(path).sample_rate
    (piece,) = read_spans(path, [(round(start_s * rate), round(seconds * rate))])
    stereo = np.repeat(piece[:1], 2, axis=0) if len(piece) == 1 else piece[:2]
    return resample(np.ascontiguousarray(stereo, np.float32), rate, SAMPLE_RATE)


def choose_start(path: Path, seconds: float, rng: np.random.Generator) -> float:
    """A random start in seconds at which an excerpt of the file is not silent.

    Drawn evenly from the starts, half a second apart, whose excerpts have a power within
    `AUDIBLE_DB` of the loudest; 0 for a file shorter than the excerpt.
    """
    info = probe(path)
    step = round(_STEP_S * info.sample_rate)
    powers = [
        float(np.square(block, dtype=np.float64).sum())
        for block in read_blocks(path, step)
        if block.shape[1] == step
    ]
    wide = max(1, math.ceil(seconds / _STEP_S))
    if len(powers) <= wide:
        return 0.0
    summed = np.concatenate([[0.0], np.cumsum(powers)])
    windows = summed[wide:] - summed[:-wide]
    fitting = np.flatnonzero(windows >= windows.max() * 10 ** (-AUDIBLE_DB / 10))
    return float(rng.choice(fitting)) * step / info.sample_rate


def low_passed(signal: Signal, cutoff_hz: float) -> Signal:
    """Only what is below the cutoff, with a slope of a sixth of it; linear phase."""
    spectrum = np.fft.rfft(signal, axis=1)
    hz = np.fft.rfftfreq(signal.shape[1], 1 / SAMPLE_RATE)
    over = np.clip((hz - cutoff_hz) / (cutoff_hz / 6), 0.0, 1.0)
    kept = spectrum * (0.5 + 0.5 * np.cos(np.pi * over))
    return np.fft.irfft(kept, signal.shape[1], axis=1).astype(np.float32)


def matched(
    signals: Mapping[str, Signal], reference: str, target_lufs: float
) -> dict[str, tuple[Signal, float, float | None]]:
    """Bring sounds to one integrated loudness, all of them or none louder than the others.

    Where a peak would pass -1 dBFS the target of all is lowered. A sound gets at most
    `MOST_EXTRA_GAIN_DB` more gain than the reference, so that near silence stays near silence.

    Args:
        signals: system to sound; the reference is one of them.
        reference: its name.
        target_lufs: integrated loudness to reach.
    Returns:
        system to (sound with faded ends, gain in dB, loudness before in LUFS or None for silence).
    """
    loudness = {name: integrated_loudness(s, SAMPLE_RATE) for name, s in signals.items()}
    target, most = target_lufs, math.inf
    if math.isfinite(loudness[reference]):
        most = target_lufs - loudness[reference] + MOST_EXTRA_GAIN_DB
    gains = {
        name: min(target - lufs, most) if math.isfinite(lufs) else 0.0
        for name, lufs in loudness.items()
    }
    highest = max(
        float(np.abs(signal).max(initial=0.0)) * 10 ** (gains[name] / 20)
        for name, signal in signals.items()
    )
    lower = min(0.0, 20 * math.log10(_CEILING / highest)) if highest > 0 else 0.0
    return {
        name: (
            _faded(signal * np.float32(10 ** ((gains[name] + lower) / 20))),
            gains[name] + lower,
            loudness[name] if math.isfinite(loudness[name]) else None,
        )
        for name, signal in signals.items()
    }


def _faded(signal: Signal) -> Signal:
    samples = min(round(_FADE_S * SAMPLE_RATE), signal.shape[1] // 2)
    ramp = np.linspace(0.0, 1.0, samples, dtype=np.float32)
    faded = signal.astype(np.float32)
    if samples:
        faded[:, :samples] *= ramp
        faded[:, -samples:] *= ramp[::-1]
    return faded
