"""Hints at how well a song was separated, without reference stems.

None of them is a score: they flag what looks unusual in a stem. How well each one predicts nSDR on
songs with known stems was measured (`scripts/measure_hints.py`, docs/reports.md).

- residual: what is left of the mixture when all stems are subtracted, by power. Models may leave
  things out.
- silence: share of the song in which a stem is 60 dB below the mixture.
- clipping: samples at or beyond full scale, in runs of at least three.
- overlap: share of a stem's energy that lies where another stem is louder, in time and frequency.
  True stems overlap too; a stem that is mostly overlap is often mostly bleed.
- coherence: share of a stem's energy that moves in phase with the sum of the others, band by band.
  True stems are nearly independent; what leaks is a copy.
- disagreement: difference between two runs over the same seconds that start at different places,
  by power against the stem; see `second_look`.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.audio.files import probe, read_blocks
from unbraid.audio.signal import Signal, recut

HINTS = ("share_db", "silent_share", "clipped_samples", "overlap", "coherence", "disagreement_db")
WINDOW = 4096
_FRAMES = 16  # read at once
_SILENCE_DB = -60.0
_FLOOR = 1e-10  # -100 dBFS
_SMOOTHING = 0.9  # of the running spectra for coherence: about 10 windows


@dataclass(frozen=True)
class StemHints:
    """Hints about one stem; None where there is nothing to say, as about silence.

    Attributes:
        share_db: power of the stem against the mixture's, dB.
        silent_share: share of the song in which it is 60 dB below the mixture's mean power.
        clipped_samples: samples at or beyond full scale, in runs of three or more.
        overlap: share of its energy where another stem is louder, 0 to 1.
        coherence: share of its energy in phase with the sum of the others, 0 to 1.
        disagreement_db: of two runs at different offsets, against the stem's power, dB.
    """

    share_db: float | None
    silent_share: float
    clipped_samples: int
    overlap: float | None
    coherence: float | None
    disagreement_db: float | None = None


@dataclass(frozen=True)
class SongHints:
    """Hints about a song.

    Attributes:
        residual_db: power of (mixture - all stems) against the mixture's, dB; None where the stems
            are not meant to add up, or the mixture is silent.
        stems: of each stem.
    """

    residual_db: float | None
    stems: Mapping[str, StemHints]

    def as_dict(self) -> dict[str, object]:
        """Plain values."""
        return {
            "residual_db": self.residual_db,
            "stems": {name: asdict(hints) for name, hints in self.stems.items()},
        }


def hints_of_files(
    mixture: Path, stems: Mapping[str, Path], *, complete: bool = True, gain_db: float = 0.0
) -> SongHints:
    """Hints from the files of a song and its stems, read once, in some 10 kB for each minute.

    Args:
        mixture: the song.
        stems: its stems, at one rate and with the channels of the song.
        complete: whether the stems should add up to the song. A residual's file is not a stem.
        gain_db: the gain that was applied to all stems.
    Raises:
        AudioReadError: if a file cannot be read.
    """
    infos = [probe(path) for path in (mixture, *stems.values())]
    same = len({(info.channels, info.sample_rate) for info in infos}) == 1
    sources = list(stems.values()) + ([mixture] if same else [])
    meter = _Meter(list(stems), with_mixture=same, gain=10 ** (gain_db / 20))
    for blocks in _together(sources):
        meter.push(blocks)
    return meter.result(complete=complete and same)


def hints_of_signals(
    mixture: Signal, stems: Mapping[str, Signal], *, complete: bool = True
) -> SongHints:
    """The same of signals in memory, all (channels, samples)."""
    meter = _Meter(list(stems), with_mixture=True, gain=1.0)
    meter.push([np.asarray(signal, np.float32) for signal in (*stems.values(), mixture)])
    return meter.result(complete=complete)


def measured_correlations() -> dict[str, Any] | None:
    """How far each hint went along with nSDR, as `scripts/measure_hints.py` found; None if never.

    Returns:
        model, songs, stems (how many of each), and correlations: hint -> stem or "all" ->
        Spearman's rank correlation, None if undefined.
    """
    try:
        file = resources.files("unbraid.song_page") / "hint_correlations.json"
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content


class _Meter:
    """Sums over windows of all stems, and the mixture last."""

    def __init__(self, stems: list[str], *, with_mixture: bool, gain: float) -> None:
        self._stems = stems
        self._with_mixture = with_mixture
        self._gain = gain
        count = len(stems)
        self._energy = np.zeros(count)
        self._mixture_energy = 0.0
        self._residual_energy = 0.0
        self._clipped = np.zeros(count, int)
        self._levels = array("f")  # power of each stem in each window
        self._spectral = np.zeros(count)
        self._overlapping = np.zeros(count)
        self._coherent = np.zeros(count)
        self._cross: np.ndarray | None = None
        self._own: np.ndarray | None = None
        self._others: np.ndarray | None = None
        self._hann = np.hanning(WINDOW).astype(np.float32)

    def push(self, signals: Sequence[np.ndarray]) -> None:
        """One block of every stem (channels, samples), the mixture's last if there is one."""
        samples = min(signal.shape[1] for signal in signals)
        block = np.stack([signal[:, :samples] for signal in signals[: len(self._stems)]])
        self._clip(block)
        if self._gain != 1.0:
            block /= np.float32(self._gain)
        self._energy += np.sum(np.square(block, dtype=np.float64), axis=(1, 2))
        if self._with_mixture:
            mixture = signals[-1][:, :samples]
            rest = mixture - block.sum(axis=0)
            self._mixture_energy += float(np.sum(np.square(mixture, dtype=np.float64)))
            self._residual_energy += float(np.sum(np.square(rest, dtype=np.float64)))
        for start in range(0, samples - WINDOW + 1, WINDOW):
            self._window(block[:, :, start : start + WINDOW])

    def _clip(self, block: np.ndarray) -> None:
        full = np.abs(block) >= 1.0 - 2.0**-15
        if not full.any():
            return
        runs = full[..., 2:] & full[..., 1:-1] & full[..., :-2]
        inside = np.zeros_like(full)
        for shift in range(3):
            inside[..., shift : shift + runs.shape[-1]] |= runs
        self._clipped += inside.sum(axis=(1, 2))

    def _window(self, window: np.ndarray) -> None:
        self._levels.extend(np.mean(np.square(window, dtype=np.float64), axis=(1, 2)))
        spectrum = np.fft.rfft(window * self._hann, axis=-1)  # (stems, channels, freq)
        power = _power(spectrum).sum(axis=1)
        loudest = np.max(power, axis=0)
        self._spectral += power.sum(axis=1)
        self._overlapping += np.where(power < loudest, power, 0.0).sum(axis=1)
        self._cohere(spectrum, power)

    def _cohere(self, spectrum: np.ndarray, power: np.ndarray) -> None:
        """Energy of each stem that a running filter of one tap a bin finds in the others' sum."""
        others = spectrum.sum(axis=0) - spectrum
        cross = (spectrum * np.conj(others)).sum(axis=1)
        rest = _power(others).sum(axis=1)
        if self._cross is None or self._own is None or self._others is None:
            self._cross, self._own, self._others = cross, power.copy(), rest
        else:
            keep = _SMOOTHING
            self._cross = keep * self._cross + (1 - keep) * cross
            self._own = keep * self._own + (1 - keep) * power
            self._others = keep * self._others + (1 - keep) * rest
        squared = _power(self._cross) / (self._own * self._others + 1e-20)
        self._coherent += (np.clip(squared, 0, 1) * power).sum(axis=1)

    def result(self, *, complete: bool) -> SongHints:
        levels = np.array(self._levels, float).reshape(-1, len(self._stems))
        reference = self._mixture_energy if self._with_mixture else float(self._energy.sum())
        mean = float(levels.sum(axis=1).mean()) if len(levels) else 0.0
        silent = (levels <= max(mean * 10 ** (_SILENCE_DB / 10), _FLOOR)).mean(axis=0)
        stems = {}
        for index, stem in enumerate(self._stems):
            spectral = self._spectral[index]
            heard = spectral > 0 and self._energy[index] > 0
            stems[stem] = StemHints(
                share_db=ratio_db(self._energy[index], reference),
                silent_share=float(silent[index]) if len(levels) else float(not heard),
                clipped_samples=int(self._clipped[index]),
                overlap=float(self._overlapping[index] / spectral) if heard else None,
                coherence=float(self._coherent[index] / spectral) if heard else None,
            )
        residual = None
        if complete and self._with_mixture:
            residual = ratio_db(self._residual_energy, self._mixture_energy)
        return SongHints(residual, stems)


def _power(spectrum: np.ndarray) -> np.ndarray:
    power: np.ndarray = spectrum.real**2 + spectrum.imag**2
    return power


def _together(paths: Sequence[Path]) -> Iterator[list[np.ndarray]]:
    """Blocks of several files, side by side, as long as the shortest."""
    streams = [recut(read_blocks(path), probe(path).channels, WINDOW * _FRAMES) for path in paths]
    yield from (list(blocks) for blocks in zip(*streams, strict=False))


def ratio_db(part: float, whole: float) -> float | None:
    """Power against power in dB, at least -120; None where there is nothing to compare with."""
    if whole <= 0:
        return None
    return 10 * math.log10(max(part / whole, 1e-12))
