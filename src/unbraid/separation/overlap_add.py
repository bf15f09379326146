"""How overlapping segments become one signal: each one's share of a sample, and the running sum.

With w the window and segments every `stride` samples, the estimate of a sample is the mean of the
segments that cover it, weighted by w at their own places (spec: Défossez et al., Demucs). Since the
sum of the weights there is known beforehand, each segment is weighted by w / sum at once: no second
buffer, and no division by what may have underflowed.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def transition_window(
    length: int, power: float = 1.0, samples: int | None = None
) -> Float[np.ndarray, " n"]:
    """A triangle 1, 2, …, 2, 1 over its maximum, to the `power`; with overlap below one half and
    power 1, segments cross-fade linearly.

    Args:
        length: of a segment, in samples.
        power: exponent, at least 1.
        samples: only so many values from the front (all of them).
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
        samples: of the longest lane: no more of a segment will be asked for.
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


class RunningSum:
    """A long sum of which only the part that still grows is held.

    `add` puts values anywhere from `position` on; `take` hands out, in order, what is finished.
    """

    def __init__(self) -> None:
        self.position = 0
        self._sum: np.ndarray | None = None

    @property
    def held_samples(self) -> int:
        return 0 if self._sum is None else self._sum.shape[-1]

    def add(self, start: int, values: Float[np.ndarray, "b s c n"]) -> None:
        """Add `values`, which the sum may keep, at sample `start`, which is `position` or later."""
        first = start - self.position
        last = first + values.shape[-1]
        if self._sum is None and first == 0:
            self._sum = values
            return
        if self._sum is None or last > self.held_samples:
            grown = np.zeros((*values.shape[:-1], last), values.dtype)
            if self._sum is not None:
                grown[..., : self.held_samples] = self._sum
            self._sum = grown
        self._sum[..., first:last] += values

    def take(self, until: int) -> Float[np.ndarray, "b s c n"]:
        """The sums from `position` up to sample `until`, which becomes the new position."""
        if self._sum is None:
            raise ValueError("nothing has been added yet")
        count = max(0, until - self.position)
        if count == self.held_samples:
            whole, self._sum = self._sum, None
            self.position += count
            return whole
        # Copies both: a view would keep the whole of the old buffer alive in the caller's hands.
        taken: np.ndarray = self._sum[..., :count].copy()
        self._sum = self._sum[..., count:].copy()
        self.position += count
        return taken
