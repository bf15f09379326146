"""How overlapping segments become one signal: each one's share of a sample, and the running sum.

With w the window and segments every `stride` samples, the estimate of a sample is the mean of the
segments that cover it, weighted by w at their own places (spec: Défossez et al., Demucs). Since the
sum of the weights there is known beforehand, each segment is weighted by w / sum at once: no second
buffer, and no division by what may have underflowed.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unbraid.shapes import Float

_PIECE = 1 << 15
"""Samples that are worked on at a time."""


def transition_window(
    length: int, power: float = 1.0, samples: int | None = None
) -> Float[np.ndarray, " n"]:
    """A triangle 1, 2, …, 2, 1 over its maximum, to the `power`; with overlap below one half and
    power 1, segments cross-fade linearly.

    Args:
        length: of a segment, in samples.
        power: exponent, at least 1.
        samples: only this many values from the front (all of them).
    Returns:
        float64, above 0 everywhere.

    >>> transition_window(5).tolist()
    [0.3333333333333333, 0.6666666666666666, 1.0, 0.6666666666666666, 0.3333333333333333]
    """
    samples = length if samples is None else min(samples, length)
    position = np.arange(samples, dtype=np.float64)
    triangle = np.minimum(position + 1, length - position) / ((length + 1) // 2)
    # Float64 holds 1e-300: an extreme power must not turn the ends of a window into nothing at all.
    return np.maximum(triangle**power, 1e-300)


class SegmentWeights:
    """The weight of each segment of a lane at each of its samples; they add up to 1 all along.

    Args:
        length, stride: of the segments, in samples.
        power: exponent of the window.
        samples: of the longest lane: no more of a segment is needed.
    """

    def __init__(self, length: int, stride: int, power: float, samples: int) -> None:
        self._stride = stride
        self._length = min(length, samples)
        # From this segment on, as many earlier ones as ever reach into it.
        self._steady_number = (self._length - 1) // stride
        if self._steady_number == 0:  # no overlap, or a single segment, perhaps a whole song
            self._first = self._steady = np.broadcast_to(np.float32(1), self._length)
            return
        self._window = transition_window(length, power, samples)
        self._first = self._share(0)
        self._steady = self._share(self._steady_number)

    def of(self, number: int, length: int) -> Float[np.ndarray, " n"]:
        """Weights, float32, of the first `length` samples of that segment of a lane."""
        if number == 0:
            return self._first[:length]
        if number >= self._steady_number:
            return self._steady[:length]
        return self._share(number)[:length]

    def _share(self, number: int) -> Float[np.ndarray, " n"]:
        window, length = self._window, self._length
        total = window.copy()
        for lag in range(self._stride, length, self._stride):
            total[lag:] += window[: length - lag]  # a later segment, started `lag` after this one
            if lag <= number * self._stride:
                total[: length - lag] += window[lag:]  # an earlier one
        share: np.ndarray = (window / total).astype(np.float32)
        return share


class FlatWeights:
    """As `SegmentWeights`, for windows that are flat and fade briefly at either end; the first one
    does not fade in, and those that reach the end do not fade out.

    These are the windows of Music-Source-Separation-Training's inference. Segments that lie alone
    on the zero of their fade are silent there.

    Args:
        length, stride: of the segments, in samples.
        samples: of the song.
        fade: samples of each fade; 0 for the plain mean of the segments that cover a sample.
    """

    def __init__(self, length: int, stride: int, samples: int, fade: int) -> None:
        self._length, self._stride, self._samples = length, stride, samples
        self._count = -(-samples // stride)
        self._fade_in = np.ones(length)
        self._fade_in[:fade] = np.linspace(0, 1, fade)
        self._fade_out = np.ones(length)
        self._fade_out[length - fade :] = np.linspace(1, 0, fade)
        self._known: dict[tuple[int, int], np.ndarray] = {}

    def of(self, number: int, length: int) -> Float[np.ndarray, " n"]:
        """Weights, float32, of the first `length` samples of that segment."""
        reach = (self._length - 1) // self._stride  # segments further away do not overlap
        # A segment that reaches the end may be `reach` before the last one.
        near = min(number, reach + 1), min(self._count - 1 - number, 2 * reach + 1)
        if near not in self._known:
            self._known[near] = self._share(number, reach)
        return self._known[near][:length]

    def _share(self, number: int, reach: int) -> Float[np.ndarray, " n"]:
        total = np.zeros(self._length)
        for other in range(max(0, number - reach), min(self._count, number + reach + 1)):
            distance = (other - number) * self._stride
            begin, end = max(0, distance), min(self._length, self._length + distance)
            total[begin:end] += self._window(other)[begin - distance : end - distance]
        window = self._window(number)
        share: np.ndarray = np.divide(window, total, out=np.zeros_like(total), where=total > 0)
        return share.astype(np.float32)

    def _window(self, number: int) -> Float[np.ndarray, " n"]:
        window = self._fade_in if number else np.ones(self._length)
        ends = number * self._stride + self._length >= self._samples
        return window if ends else window * self._fade_out


class RunningSum:
    """A long sum; only the part that still grows is held, always in the same memory.

    `add` puts values anywhere from `position` on; `take` hands out, in order, what is finished.
    All is done in short pieces: what is done to them next finds them in the cache, and fresh memory
    costs more than the arithmetic.
    """

    def __init__(self) -> None:
        self.position = 0
        self.held_samples = 0
        self._memory: np.ndarray | None = None

    def add(
        self,
        start: int,
        values: Float[np.ndarray, "b s c n"],
        shares: Float[np.ndarray, "s 1 1"],
        weight: Float[np.ndarray, " n"],
    ) -> None:
        """Add values * (shares * weight) at sample `start`, which is `position` or later."""
        first, count = start - self.position, values.shape[-1]
        memory = self._room(values, first + count)
        memory[..., self.held_samples : first] = 0
        for begin, end in _pieces(count):
            weighted = values[..., begin:end] * (shares * weight[begin:end])
            known = min(max(0, self.held_samples - first - begin), end - begin)
            into = memory[..., first + begin : first + end]
            into[..., :known] += weighted[..., :known]
            into[..., known:] = weighted[..., known:]
        self.held_samples = max(self.held_samples, first + count)

    def take(self, until: int) -> Iterator[Float[np.ndarray, "b s c n"]]:
        """The sums from `position` up to sample `until`, which becomes the new position: blocks
        with separate memory."""
        if self._memory is None:
            raise ValueError("nothing has been added yet")
        count = min(max(0, until - self.position), self.held_samples)
        for begin, end in _pieces(count):
            yield self._memory[..., begin:end].copy()
        self.position += count
        self.held_samples -= count
        for begin, end in _pieces(self.held_samples):
            self._memory[..., begin:end] = self._memory[..., count + begin : count + end]

    def _room(self, like: np.ndarray, samples: int) -> np.ndarray:
        """The memory, with room for a number of samples."""
        if self._memory is None or self._memory.shape[-1] < samples:
            grown = np.empty((*like.shape[:-1], samples), like.dtype)
            if self._memory is not None:
                grown[..., : self.held_samples] = self._memory[..., : self.held_samples]
            self._memory = grown
        return self._memory


def _pieces(samples: int) -> Iterator[tuple[int, int]]:
    for begin in range(0, samples, _PIECE):
        yield begin, min(begin + _PIECE, samples)
