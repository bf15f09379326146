"""Pitch classes of recordings, and the keys they point to."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unbraid.shapes import Float

_PITCH_WINDOW_S = 0.74
_LOWEST_HZ, _HIGHEST_HZ = 32.0, 500.0
_NAMES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
# How well each pitch class fits a key on C, as listeners judged.
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
_LEAST_LIKENESS = 0.5


def pitch_classes(
    mono: Float[np.ndarray, " t"], sample_rate: int, silence: float = 0.05
) -> Float[np.ndarray, " 12"] | None:
    """How often each pitch class is the strongest, C first, adding up to 1; None for silence.

    Args:
        mono: (samples,), best of a bass alone.
        sample_rate: Hz.
        silence: what lies below this share of the greatest RMS is left out.
    Source: Défossez, arXiv:2111.03600, the choice of songs for "realistic remixes".
    """
    size = 1 << round(np.log2(_PITCH_WINDOW_S * sample_rate))
    hop = size // 4
    if len(mono) < size or not np.any(mono):
        return None
    hz = np.arange(size // 2 + 1) * sample_rate / size
    used = np.flatnonzero((hz >= _LOWEST_HZ) & (hz <= _HIGHEST_HZ))
    # A bin counts for the pitch classes on both sides, as it lies nearer to one or the other.
    place = 12 * np.log2(hz[used] / 440.0) + 9
    low = np.floor(place).astype(int)
    share = place - low
    weights = np.zeros((len(used), 12))
    weights[np.arange(len(used)), low % 12] += 1 - share
    weights[np.arange(len(used)), (low + 1) % 12] += share
    counts, strongest, levels = np.zeros(12), [], []
    for spectrum in _spectra(mono, size, hop):
        band = spectrum[:, used]
        # Only peaks: leakage between them belongs to no note.
        inner = band[:, 1:-1]
        peaks = (inner > band[:, :-2]) & (inner >= band[:, 2:])
        chroma = np.where(peaks, inner, 0.0) @ weights[1:-1]
        strongest.append(chroma.argmax(axis=1))
        levels.append(np.sqrt(np.square(band).sum(axis=1)))
    level = np.concatenate(levels)
    heard = np.concatenate(strongest)[(level >= silence * level.max()) & (level > 0)]
    if len(heard) == 0:
        return None
    np.add.at(counts, heard, 1.0)
    histogram: np.ndarray = counts / counts.sum()
    return histogram


def key_shift(classes: Float[np.ndarray, " 12"], target: Float[np.ndarray, " 12"]) -> int:
    """By how many semitones to move a song, -5 to 6, so that its pitch classes fit the target's.

    >>> one = np.eye(12)[0]
    >>> key_shift(one, np.eye(12)[2]), key_shift(one, np.eye(12)[10])
    (2, -2)
    """
    distances = [np.abs(np.roll(classes, shift) - target).mean() for shift in range(12)]
    best = int(np.argmin(distances))
    return best if best <= 6 else best - 12


def name_key(classes: Float[np.ndarray, " 12"]) -> str | None:
    """The key with the profile most similar to these shares of the pitch classes, (12,) from C on.

    Source: Krumhansl, "Cognitive foundations of musical pitch", 1990.

    >>> name_key(np.array([4, 0, 2, 0, 3, 2, 0, 4, 0, 2, 0, 1.0]))
    'C major'
    """
    likeness = {
        f"{_NAMES[tonic]} {mode}": float(np.corrcoef(classes, np.roll(profile, tonic))[0, 1])
        for mode, profile in (("major", _MAJOR), ("minor", _MINOR))
        for tonic in range(12)
        if classes.std() > 0
    }
    best = max(likeness, key=lambda key: likeness[key], default=None)
    return best if best is not None and likeness[best] >= _LEAST_LIKENESS else None


def _spectra(mono: np.ndarray, size: int, hop: int) -> Iterator[np.ndarray]:
    """Magnitudes (frames, bins), some hundred frames at a time; frame k is centred on k * hop."""
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    padded = np.pad(mono.astype(np.float32), (size // 2, size // 2))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    for start in range(0, len(frames), 256):
        yield np.abs(np.fft.rfft(frames[start : start + 256] * window, axis=1))
