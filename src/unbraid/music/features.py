"""What is heard of one stem: how loud each band and each semitone is, many times a second.

Sound comes in blocks, so that a song of hours takes little memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from unbraid.shapes import Float

FRAMES_HZ = 100.0  # of band levels, nearly: a frame is a whole number of samples
PITCH_FRAMES_HZ = 10.0
BANDS = 24
LOW_BANDS = 6  # of them below about 180 Hz
LOWEST_PITCH, PITCHES = 28, 69  # MIDI: E1 to C7
_LOWEST_HZ, _HIGHEST_HZ = 30.0, 16000.0
_WINDOW_S, _PITCH_WINDOW_S = 0.046, 0.37
_BATCH = 256


@dataclass(frozen=True)
class Features:
    """What is heard of a stem.

    Attributes:
        levels: (frames, BANDS), amplitude of each band, low ones first.
        rate: frames a second.
        pitches: (pitch frames, PITCHES), amplitude of the spectral peaks at each semitone.
        pitch_rate: pitch frames a second.
    Frame k of either is centred on k divided by its rate, in seconds.
    """

    levels: Float[np.ndarray, "n bands"]
    rate: float
    pitches: Float[np.ndarray, "m pitches"]
    pitch_rate: float

    @property
    def seconds(self) -> float:
        """Length of the stem."""
        return len(self.levels) / self.rate


def hear(blocks: Iterable[np.ndarray], sample_rate: int) -> Features:
    """The features of a stem.

    Args:
        blocks: (channels, samples) each, or one array in a list.
        sample_rate: Hz.
    """
    hop, pitch_hop = round(sample_rate / FRAMES_HZ), round(sample_rate / PITCH_FRAMES_HZ)
    size, pitch_size = (
        1 << max(5, round(np.log2(s * sample_rate))) for s in (_WINDOW_S, _PITCH_WINDOW_S)
    )
    bands, peaks = _Bands(size, sample_rate), _Peaks(pitch_size, sample_rate)
    fine, coarse = _Frames(size, hop), _Frames(pitch_size, pitch_hop)
    levels, pitches = [np.empty((0, BANDS), np.float16)], [np.empty((0, PITCHES), np.float16)]
    for block in _with_end(blocks):
        mono = None if block is None else block.mean(axis=0, dtype=np.float32)
        levels += [bands.of(frames) for frames in fine.push(mono)]
        pitches += [peaks.of(frames) for frames in coarse.push(mono)]
    return Features(
        np.concatenate(levels), sample_rate / hop, np.concatenate(pitches), sample_rate / pitch_hop
    )


def joined(parts: Iterable[Features]) -> Features:
    """The features of several stems as one, as if their powers added up; all of one length."""
    parts = list(parts)
    frames = min(len(part.levels) for part in parts)
    coarse = min(len(part.pitches) for part in parts)
    powers = sum(np.square(part.levels[:frames], dtype=np.float32) for part in parts)
    peaks = sum(np.square(part.pitches[:coarse], dtype=np.float32) for part in parts)
    return Features(np.sqrt(powers), parts[0].rate, np.sqrt(peaks), parts[0].pitch_rate)


def _with_end(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray | None]:
    for block in blocks:
        yield np.atleast_2d(block)
    yield None


class _Frames:
    """Cuts sound into overlapping frames; the first is centred on the first sample."""

    def __init__(self, size: int, hop: int) -> None:
        self._size, self._hop = size, hop
        self._rest = np.zeros(size // 2, np.float32)

    def push(self, mono: np.ndarray | None) -> Iterator[np.ndarray]:
        """Batches of whole frames, (n, size); None ends the sound."""
        more = np.zeros(self._size // 2, np.float32) if mono is None else mono
        sound = np.concatenate([self._rest, more])
        if len(sound) < self._size:
            self._rest = sound
            return
        frames = np.lib.stride_tricks.sliding_window_view(sound, self._size)[:: self._hop]
        self._rest = sound[len(frames) * self._hop :]
        for start in range(0, len(frames), _BATCH):
            yield frames[start : start + _BATCH]


class _Bands:
    def __init__(self, size: int, sample_rate: int) -> None:
        self._window = (np.hanning(size + 1)[:-1] / (size / 4)).astype(np.float32)
        top = min(_HIGHEST_HZ, sample_rate / 2)
        low = np.geomspace(_LOWEST_HZ, 180, LOW_BANDS + 1)[:-1]
        edges = np.concatenate([low, np.geomspace(180, top, BANDS - LOW_BANDS + 1)])
        bins = edges * size / sample_rate
        # Bands are trapezoids, so that the low ones, narrower than a bin, still add up to all.
        places = np.arange(size // 2 + 1)
        above = np.clip(places[:, None] + 0.5 - bins[None, :], 0, 1)
        self._weights = (above[:, :-1] - above[:, 1:]).astype(np.float32)

    def of(self, frames: np.ndarray) -> np.ndarray:
        power = np.abs(np.fft.rfft(frames * self._window, axis=1)) ** 2
        levels: np.ndarray = np.sqrt(power.astype(np.float32) @ self._weights).astype(np.float16)
        return levels


class _Peaks:
    """Spectral peaks, each located between bins and given to its nearest semitone."""

    def __init__(self, size: int, sample_rate: int) -> None:
        self._window = (np.hanning(size + 1)[:-1] / (size / 4)).astype(np.float32)
        self._bin_hz = sample_rate / size
        low = 440 * 2 ** ((LOWEST_PITCH - 69.5) / 12)
        high = min(440 * 2 ** ((LOWEST_PITCH + PITCHES - 69.5) / 12), sample_rate / 2)
        self._first, self._last = int(low / self._bin_hz), int(high / self._bin_hz) - 1

    def of(self, frames: np.ndarray) -> np.ndarray:
        spectrum = np.abs(np.fft.rfft(frames * self._window, axis=1)).astype(np.float32)
        first, last = max(1, self._first), self._last
        before, here, after = (spectrum[:, first + d : last + d] for d in (-1, 0, 1))
        rows, columns = np.nonzero((here > before) & (here >= after) & (here > 1e-6))
        left, top, right = (np.log(one[rows, columns] + 1e-9) for one in (before, here, after))
        bend = left - 2 * top + right
        shift = np.clip(np.divide(0.5 * (left - right), bend, where=bend < 0, out=0 * bend), -1, 1)
        hz = (first + columns + shift) * self._bin_hz
        pitch = np.rint(69 + 12 * np.log2(hz / 440)).astype(int) - LOWEST_PITCH
        inside = (pitch >= 0) & (pitch < PITCHES)
        found = np.zeros((len(frames), PITCHES), np.float32)
        np.maximum.at(found, (rows[inside], pitch[inside]), here[rows, columns][inside])
        return found.astype(np.float16)
