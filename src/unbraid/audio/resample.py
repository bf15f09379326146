"""Sample rates: band-limited conversion, whole or block by block.

soxr at its very high quality: flat up to 91 % of the lower Nyquist frequency (20 kHz for 44.1 kHz),
images and aliases down where float32 ends, linear phase, its delay already taken off.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import soxr

from unbraid.audio.signal import Signal
from unbraid.errors import SettingsError

QUALITY = "VHQ"

_OUTPUT_BLOCK = 1 << 18


def resampled_length(samples: int, source_rate: int, target_rate: int) -> int:
    """Samples that `samples` at `source_rate` become at `target_rate`: halves up, but at least 1.

    >>> resampled_length(44100, 44100, 48000), resampled_length(1, 48000, 8000)
    (48000, 1)
    """
    _check_rates(source_rate, target_rate)
    if samples <= 0:
        return 0
    return max(1, (2 * samples * target_rate + source_rate) // (2 * source_rate))


class StreamResampler:
    """Converts a signal of any length, block by block.

    What all calls return, put together, is the whole signal resampled: nothing is shifted, and the
    length is `resampled_length`. At equal rates the blocks pass through as they are.

    Args:
        source_rate: sample rate of what is pushed, Hz.
        target_rate: sample rate of what comes out, Hz.
        channels: number of channels.
    Raises:
        SettingsError: if a rate or the number of channels is below 1.
    """

    def __init__(self, source_rate: int, target_rate: int, channels: int) -> None:
        _check_rates(source_rate, target_rate)
        if channels < 1:
            raise SettingsError(f"a signal to resample has at least 1 channel, got {channels}")
        self.source_rate = source_rate
        self.target_rate = target_rate
        self.channels = channels
        self._pushed = 0
        self._returned = 0
        self._stream = (
            None
            if source_rate == target_rate
            else soxr.ResampleStream(
                source_rate, target_rate, channels, dtype="float32", quality=QUALITY
            )
        )

    def push(self, block: Signal) -> np.ndarray:
        """Take the next block, (channels, any number of samples); return what is ready by now.

        A block of n samples may give up to about n * target_rate / source_rate samples at once;
        `resample_blocks` keeps that small whatever the rates.
        """
        self._pushed += block.shape[1]
        if self._stream is None:
            return block
        if block.shape[1] == 0:
            return self._empty()
        return self._emit(self._stream.resample_chunk(np.ascontiguousarray(block.T)))

    def finish(self) -> Signal:
        """Return the rest. Nothing can be pushed after it."""
        if self._stream is None:
            return self._empty()
        rest = self._stream.resample_chunk(np.empty((0, self.channels), np.float32), last=True)
        due = resampled_length(self._pushed, self.source_rate, self.target_rate) - self._returned
        # soxr rounds the length its own way; the sample it may lack or exceed is fade-out.
        exact = np.zeros((due, self.channels), np.float32)
        count = min(due, len(rest))
        exact[:count] = rest[:count]
        return self._emit(exact)

    def _emit(self, frames: np.ndarray) -> Signal:
        self._returned += len(frames)
        return np.ascontiguousarray(frames.T)

    def _empty(self) -> Signal:
        return np.empty((self.channels, 0), np.float32)


def resample_blocks(
    blocks: Iterable[np.ndarray], source_rate: int, target_rate: int, channels: int
) -> Iterator[np.ndarray]:
    """Resample a stream of blocks in constant memory, whatever the two rates are.

    Args:
        blocks: float32 arrays (channels, any number of samples).
    Returns:
        float32 arrays (channels, samples), none empty; together `resampled_length` samples.
    """
    resampler = StreamResampler(source_rate, target_rate, channels)
    step = max(1, _OUTPUT_BLOCK * source_rate // target_rate)
    for block in blocks:
        for start in range(0, block.shape[1], step):
            ready = resampler.push(block[:, start : start + step])
            if ready.shape[1]:
                yield ready
    rest = resampler.finish()
    if rest.shape[1]:
        yield rest


def resample(signal: Signal, source_rate: int, target_rate: int) -> Signal:
    """Resample a whole signal, (channels, samples); an impulse stays where it was, in seconds.

    >>> resample(np.zeros((2, 441), np.float32), 44100, 48000).shape
    (2, 480)
    """
    blocks = list(resample_blocks([signal], source_rate, target_rate, signal.shape[0]))
    return np.concatenate(blocks, axis=1) if blocks else signal[:, :0].copy()


def _check_rates(source_rate: int, target_rate: int) -> None:
    for rate in (source_rate, target_rate):
        if rate < 1:
            raise SettingsError(f"a sample rate is at least 1 Hz, got {rate}")
