"""Which frequency bins make a band: runs of neighbouring bins, (first bin, number of bins)."""

from __future__ import annotations

import math

from unbraid.errors import SettingsError

Bands = tuple[tuple[int, int], ...]

BS_BANDS = (*[2] * 24, *[4] * 12, *[12] * 8, *[24] * 8, *[48] * 8, 128, 129)
"""Bins of each band of the published BS-RoFormers, 1025 in all: finer towards the bass."""


def side_by_side(counts: tuple[int, ...]) -> Bands:
    """Bands that follow each other.

    >>> side_by_side((2, 3))
    ((0, 2), (2, 3))
    """
    bands, start = [], 0
    for count in counts:
        bands.append((start, count))
        start += count
    return tuple(bands)


def mel_bands(count: int, n_fft: int, sample_rate: int) -> Bands:
    """Overlapping bands: the bins with a weight in each triangle of a mel filter bank.

    The mel scale is Slaney's, from 0 Hz to the Nyquist frequency; the first band has bin 0, and the
    last the highest bin, which have no weight in any triangle.

    Raises:
        SettingsError: if some bin is in no band, or a band has no bin.

    >>> mel_bands(60, 2048, 44100)[:3], mel_bands(60, 2048, 44100)[-1]
    (((0, 7), (4, 6), (7, 6)), (895, 130))
    """
    bins = n_fft // 2 + 1
    top = _mel(sample_rate / 2)
    edges = [_hertz(top * step / (count + 1)) for step in range(count + 2)]
    hertz = [bin_ * sample_rate / n_fft for bin_ in range(bins)]
    bands: list[tuple[int, int]] = []
    for band in range(count):
        low, high = edges[band], edges[band + 2]
        inside = [bin_ for bin_, f in enumerate(hertz) if low < f < high]
        first = 0 if band == 0 else min(inside, default=bins)
        last = bins - 1 if band == count - 1 else max(inside, default=-1)
        bands.append((first, last - first + 1))
    covered = 0
    for first, length in bands:
        if length < 1 or first > covered:
            raise SettingsError(
                f"{count} mel bands leave a gap in the {bins} bins of n_fft {n_fft} at "
                f"{sample_rate} Hz; take fewer bands or a larger n_fft"
            )
        covered = max(covered, first + length)
    return tuple(bands)


def _mel(hertz: float) -> float:
    if hertz < 1000:
        return hertz * 3 / 200
    return 15 + 27 * math.log(hertz / 1000) / math.log(6.4)


def _hertz(mel: float) -> float:
    if mel < 15:
        return mel * 200 / 3
    return 1000 * math.exp((mel - 15) * math.log(6.4) / 27)
