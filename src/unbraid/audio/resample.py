"""Sample rates: band-limited conversion, whole or block by block.

soxr at its very high quality: flat up to 91 % of the lower Nyquist frequency (20 kHz for 44.1 kHz),
images and aliases down where float32 ends, linear phase, its delay already taken off.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import soxr

from unbraid.audio.signal import OtherSignal, Signal
from unbraid.errors import SettingsError

QUALITY = "VHQ"

_OUTPUT_BLOCK = 1 << 16
_FAR_APART = 256


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
    length is `resampled_length`. At equal rates the blocks pass through unchanged.

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
        self._rates = _rates(source_rate, target_rate)
        self._stages = [
            soxr.ResampleStream(here, there, channels, dtype="float32", quality=QUALITY)
            for here, there in zip(self._rates, self._rates[1:], strict=False)
        ]

    def push(self, block: Signal) -> OtherSignal:
        """Take the next block, (channels, any number of samples); return what is ready by now."""
        return self._joined(self.feed(block)) if self._stages else block

    def finish(self) -> Signal:
        """Return the rest. Nothing can be pushed after it."""
        return self._joined(self.drain())

    def feed(self, block: np.ndarray) -> Iterator[np.ndarray]:
        """As `push`, in pieces: not much more than 65,536 samples each, whatever the rates."""
        if not self._stages:
            yield block
            return
        self._pushed += block.shape[1]
        for frames in self._through(0, np.ascontiguousarray(block.T)):
            self._returned += len(frames)
            yield np.ascontiguousarray(frames.T)

    def drain(self) -> Iterator[np.ndarray]:
        """As `finish`, in pieces like those of `feed`."""
        due = resampled_length(self._pushed, self.source_rate, self.target_rate) - self._returned
        silence = np.empty((0, self.channels), np.float32)
        for frames in self._through(0, silence, last=True) if self._stages else ():
            piece = frames[:due]
            due -= len(piece)
            yield np.ascontiguousarray(piece.T)
        # soxr rounds the length in its own way: the sample it may lack or exceed is fade-out.
        if self._stages and due:
            yield np.zeros((self.channels, due), np.float32)

    def _through(self, stage: int, frames: np.ndarray, last: bool = False) -> Iterator[np.ndarray]:
        """Send (samples, channels) through the stages from `stage` on, in small steps."""
        if stage == len(self._stages):
            yield frames
            return
        stream = self._stages[stage]
        step = max(1, int(_OUTPUT_BLOCK * self._rates[stage] / self._rates[stage + 1]))
        for start in range(0, len(frames), step):
            yield from self._through(stage + 1, stream.resample_chunk(frames[start : start + step]))
        if last:
            flushed = stream.resample_chunk(np.empty((0, self.channels), np.float32), last=True)
            yield from self._through(stage + 1, flushed, last=True)

    def _joined(self, pieces: Iterable[np.ndarray]) -> np.ndarray:
        empty = np.empty((self.channels, 0), np.float32)
        return np.concatenate([empty, *pieces], axis=1)


def resample_blocks(
    blocks: Iterable[np.ndarray], source_rate: int, target_rate: int, channels: int
) -> Iterator[np.ndarray]:
    """Resample a stream of blocks in memory that does not grow with its length.

    Args:
        blocks: float32 arrays (channels, any number of samples).
    Returns:
        float32 arrays (channels, samples), none empty; together `resampled_length` samples.
    """
    resampler = StreamResampler(source_rate, target_rate, channels)
    for block in blocks:
        yield from (piece for piece in resampler.feed(block) if piece.shape[1])
    yield from (piece for piece in resampler.drain() if piece.shape[1])


def resample(signal: Signal, source_rate: int, target_rate: int) -> OtherSignal:
    """Resample a whole signal, (channels, samples); an impulse stays where it was, in seconds.

    >>> resample(np.zeros((2, 441), np.float32), 44100, 48000).shape
    (2, 480)
    """
    blocks = list(resample_blocks([signal], source_rate, target_rate, signal.shape[0]))
    return np.concatenate(blocks, axis=1) if blocks else signal[:, :0].copy()


def _rates(source_rate: int, target_rate: int) -> list[float]:
    """The intermediate rates: one is added if two rates need too long a filter."""
    if source_rate == target_rate:
        return [source_rate]
    low, high = sorted((source_rate, target_rate))
    if high <= _FAR_APART * low:
        return [source_rate, target_rate]
    return [source_rate, low * math.ceil(math.sqrt(high / low)), target_rate]


def _check_rates(source_rate: int, target_rate: int) -> None:
    for rate in (source_rate, target_rate):
        if rate < 1:
            raise SettingsError(f"a sample rate is at least 1 Hz, got {rate}")
