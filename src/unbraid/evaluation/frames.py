"""A song cut into the frames that BSSEval scores one by one, and what each frame holds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from unbraid.errors import SettingsError

_FIRST_LOOK = 256

Pair = tuple[np.ndarray, np.ndarray]
"""References and estimates at the same time: (sources, channels, samples) of each."""


class Frames:
    """Cuts a stream into frames of `window` samples, one each `hop`; what is left over is dropped.

    A song shorter than a window is one frame, as in museval. Fractions of a sample are rounded
    down, so that a hop need not be whole.

    Args:
        window: samples in a frame; infinity takes the whole song as one.
        hop: samples between the starts of two frames.
    Raises:
        SettingsError: if one of them is not above 0.
    """

    def __init__(self, window: float, hop: float) -> None:
        _check(window, hop)
        self._window = window
        self._hop = hop
        self._pieces: list[Pair] = []
        self._start = 0  # of what is held, in samples from the start of the song
        self._stop = 0
        self._count = 0

    def push(self, references: np.ndarray, estimates: np.ndarray) -> Iterator[Pair]:
        """Take the next samples; the frames that are complete now."""
        self._pieces.append((references, estimates))
        self._stop += references.shape[-1]
        while self._begin() + self._window <= self._stop:
            begin = self._begin()
            yield self._cut(math.floor(begin), math.floor(begin + self._window))
            self._count += 1

    def finish(self) -> Iterator[Pair]:
        """The one frame of a song that is shorter than a window."""
        if self._count == 0 and self._stop > 0:
            yield self._cut(0, self._stop)

    def _begin(self) -> float:
        return self._count * self._hop if self._count else 0

    def _cut(self, start: int, stop: int) -> Pair:
        """Samples `start` to `stop`; earlier ones are dropped."""
        while self._pieces[0][0].shape[-1] + self._start <= start:
            self._start += self._pieces.pop(0)[0].shape[-1]
        references, estimates = self._pieces[0]
        here = slice(start - self._start, None)
        self._pieces[0] = references[..., here], estimates[..., here]
        self._start = start
        if len(self._pieces) > 1:
            first, second = zip(*self._pieces, strict=True)
            self._pieces = [(np.concatenate(first, -1), np.concatenate(second, -1))]
        references, estimates = self._pieces[0]
        return references[..., : stop - start], estimates[..., : stop - start]


def frame_bounds(samples: int, window: float, hop: float) -> Iterator[tuple[int, int]]:
    """Start and stop of the frames that `Frames` cuts from a song of `samples` samples.

    >>> list(frame_bounds(10, 4, 3)), list(frame_bounds(3, 4, 3))
    ([(0, 4), (3, 7), (6, 10)], [(0, 3)])
    """
    _check(window, hop)
    if window > samples:
        yield 0, samples
    count, begin = 0, 0.0
    while begin + window <= samples:
        yield math.floor(begin), math.floor(begin + window)
        count += 1
        begin = count * hop


@dataclass(frozen=True)
class FrameTable:
    """What frames hold, without any filters.

    Attributes:
        signal, error: energy of the own reference, and of estimate minus reference; (estimates,
            frames).
        silent_references, silent_estimates: whether the channels add up to zero all through the
            frame, which is what museval calls silent; (sources, frames).
    """

    signal: np.ndarray
    error: np.ndarray
    silent_references: np.ndarray
    silent_estimates: np.ndarray

    def unscored(self) -> np.ndarray:
        """Frames that get no score: those where any reference or any estimate is silent."""
        silent = np.concatenate([self.silent_references, self.silent_estimates])
        unscored: np.ndarray = np.logical_or.reduce(silent, axis=0)
        return unscored


class FrameMeter:
    """Collects the `FrameTable` of a song.

    Args:
        targets: for each estimate, which reference is its own.
        channel_axis: where frames have their channels.
    """

    def __init__(self, targets: tuple[int, ...], channel_axis: int = 1) -> None:
        self._targets = list(targets)
        self._axis = channel_axis
        self._rows: list[tuple[np.ndarray, ...]] = []

    def add(self, references: np.ndarray, estimates: np.ndarray) -> None:
        """Take the next frame."""
        in_order = self._targets == list(range(len(references)))
        own = references if in_order else references[self._targets]
        silent = [silent_signals(signals, self._axis) for signals in (references, estimates)]
        self._rows.append((energies(own), energies(estimates - own), *silent))

    def finish(self) -> FrameTable:
        """The frames of the song, at least one."""
        return FrameTable(*(np.stack(column, axis=1) for column in zip(*self._rows, strict=True)))


def _check(window: float, hop: float) -> None:
    if not (window >= 1 and hop > 0):
        raise SettingsError(
            "a frame has a window of at least 1 sample and a hop above 0, "
            f"got window {window:g} and hop {hop:g}"
        )


def energies(signals: np.ndarray) -> np.ndarray:
    """Energy of each of (signals, ...)."""
    flat = signals.reshape(len(signals), -1)
    sums: np.ndarray = np.einsum("st,st->s", flat, flat, dtype=np.float64)
    return sums


def silent_signals(signals: np.ndarray, channel_axis: int = 1) -> np.ndarray:
    """Whether the channels of each signal add up to zero throughout.

    Args:
        signals: (signals, channels, samples), or with these two the other way round.
        channel_axis: which of the two it is.
    """
    channels_last = np.moveaxis(signals, channel_axis, -1)
    return np.array([_is_silent(signal) for signal in channels_last], bool)


def _is_silent(signal: np.ndarray) -> bool:
    """Of (samples, channels); what sounds mostly does so within the first samples."""
    start, step = 0, _FIRST_LOOK
    while start < len(signal):
        if signal[start : start + step].sum(axis=1).any():
            return False
        start, step = start + step, 16 * step
    return True
