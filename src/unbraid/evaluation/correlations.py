"""Correlations over a whole song, in constant memory, for the distortion filters.

A long song is transformed block by block:

    blocks ─► FFT ─► cross-spectra, summed over all blocks ─► inverse FFT, once

A short one is transformed as a whole, in the way museval does it. The sums are the same except for
their last digits. These matter where references are nearly filtered versions of each other, such
as pure tones or delayed copies: the filters are then left to rounding, and only the same rounding
gives museval's figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TAPS = 512
LONGEST_WHOLE = 1 << 19
"""Samples of the longest transform of a whole song: 11.9 s at 44.1 kHz."""

_FFT = 1 << 13
_BLOCKS_AT_ONCE = 16


@dataclass(frozen=True)
class Correlations:
    """How references correlate with each other and with estimates.

    Rows are the channels of all references, one source after the other; columns those of all
    estimates. The correlation at lag k is the sum over n of row(n) * column(n + k).

    Attributes:
        references: lags 1 - taps to taps - 1, (rows, rows, 2 * taps - 1).
        estimates: lags 0 to taps - 1, (rows, columns, taps).
        channels: of each source.
        whole: whether the song was transformed as a whole.
    """

    references: np.ndarray
    estimates: np.ndarray
    channels: int
    whole: bool

    def subset(self, sources: Sequence[int], estimates: Sequence[int]) -> Correlations:
        """Those of some references and some estimates."""
        rows = _channels_of(sources, self.channels)
        columns = _channels_of(estimates, self.channels)
        return Correlations(
            references=self.references[np.ix_(rows, rows)],
            estimates=self.estimates[np.ix_(rows, columns)],
            channels=self.channels,
            whole=self.whole,
        )


class CorrelationMeter:
    """Takes a song block by block; the size of blocks does not change the result.

    Args:
        rows: channels of all references together.
        columns: channels of all estimates together.
        channels: of each source.
        taps: number of lags.
    """

    def __init__(self, rows: int, columns: int, channels: int, taps: int = TAPS) -> None:
        self._rows = rows
        self._columns = columns
        self._channels = channels
        self._taps = taps
        self._size = max(_FFT, 4 * taps)
        self._step = self._size - (taps - 1)
        self._held: list[np.ndarray] = []
        self._samples = 0
        self._spectra: np.ndarray | None = None  # of a long song

    def push(self, references: np.ndarray, estimates: np.ndarray) -> None:
        """Take the next samples: (sources, channels, samples) of each."""
        samples = references.shape[-1]
        block = np.concatenate([references.reshape(-1, samples), estimates.reshape(-1, samples)])
        self._held.append(block.astype(np.float64, copy=False))
        self._samples += samples
        if self._samples + self._taps - 1 > LONGEST_WHOLE:
            self._sum_up(last=False)

    def finish(self) -> Correlations:
        """The correlations of all pushed samples."""
        if self._spectra is None:
            references, estimates = self._correlate_whole()
            return Correlations(references, estimates, self._channels, whole=True)
        self._sum_up(last=True)
        lags = np.fft.irfft(self._spectra, self._size, axis=0)[: self._taps]
        lags = np.ascontiguousarray(np.moveaxis(lags, 0, -1))
        later = lags[:, : self._rows]
        earlier = later.swapaxes(0, 1)[..., :0:-1]
        references = np.concatenate([earlier, later], axis=-1)
        return Correlations(references, lags[:, self._rows :], self._channels, whole=False)

    def _correlate_whole(self) -> tuple[np.ndarray, np.ndarray]:
        signals = self._joined()
        size = 1 << max(signals.shape[1] + self._taps - 2, 1).bit_length()
        spectra = [_whole_spectrum(signal, size) for signal in signals]
        references = np.empty((self._rows, self._rows, 2 * self._taps - 1))
        estimates = np.empty((self._rows, self._columns, self._taps))
        for i, early in enumerate(spectra[: self._rows]):
            for j in range(i, self._rows):
                lags = np.fft.ifft(spectra[j] * early.conj()).real
                lags = np.concatenate([lags[1 - self._taps :], lags[: self._taps]])
                references[j, i], references[i, j] = lags[::-1], lags
            for column, late in enumerate(spectra[self._rows :]):
                lags = np.fft.ifft(early * late.conj()).real
                estimates[i, column] = np.concatenate([lags[:1], lags[: -self._taps : -1]])
        return references, estimates

    def _joined(self) -> np.ndarray:
        if len(self._held) != 1:
            empty = np.zeros((self._rows + self._columns, 0))
            self._held = [np.concatenate([empty, *self._held], axis=1)]
        return self._held[0]

    def _sum_up(self, *, last: bool) -> None:
        """Add the held samples to the spectra, except those that need later samples."""
        if self._spectra is None:
            shape = (self._size // 2 + 1, self._rows, self._rows + self._columns)
            self._spectra = np.zeros(shape, np.complex128)
        signals = self._joined()
        if last:
            steps = -(-signals.shape[1] // self._step)
            missing = steps * self._step + self._taps - 1 - signals.shape[1]
            signals = np.pad(signals, ((0, 0), (0, missing)))
        steps = (signals.shape[1] - (self._taps - 1)) // self._step
        for first in range(0, steps, _BLOCKS_AT_ONCE):
            stop = min(first + _BLOCKS_AT_ONCE, steps) * self._step + self._taps - 1
            self._spectra += self._cross_spectra(signals[:, first * self._step : stop])
        self._held = [signals[:, max(steps, 0) * self._step :].copy()]

    def _cross_spectra(self, signals: np.ndarray) -> np.ndarray:
        # A stretch of `step` samples against itself and the `taps - 1` that follow: every pair of
        # samples less than `taps` apart is met once, and nothing wraps around the transform.
        early = signals[: self._rows, : 1 - self._taps].reshape(self._rows, -1, self._step)
        windows = np.lib.stride_tricks.sliding_window_view(signals, self._size, axis=1)
        late = np.fft.rfft(windows[:, :: self._step])
        before = np.ascontiguousarray(np.moveaxis(np.fft.rfft(early, self._size), 2, 0)).conj()
        product: np.ndarray = before @ np.ascontiguousarray(late.transpose(2, 1, 0))
        return product


def _whole_spectrum(signal: np.ndarray, size: int) -> np.ndarray:
    """All bins of a real signal's transform, to the last bit those of a complex one."""
    half = np.fft.rfft(signal, size)
    return np.concatenate([half, half[-2:0:-1].conj()])


def _channels_of(sources: Sequence[int], channels: int) -> list[int]:
    return [source * channels + channel for source in sources for channel in range(channels)]
