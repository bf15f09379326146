"""Intervals, agreement and paired tests, small and exact."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Key = TypeVar("Key", bound=Hashable)

DRAWS = 4000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean with its interval.

    Attributes:
        mean: the estimate.
        low, high: ends of the 95 % interval; None where one rater is all there is.
        answers: how many values it rests on.
        raters: of how many raters.
    """

    mean: float
    low: float | None
    high: float | None
    answers: int
    raters: int


class RaterBootstrap:
    """Intervals of means by drawing raters, not answers: answers of one rater go together.

    Args:
        values: (rater, cell, value); a cell is whatever means are wanted of.
        rng: source of the draws.
    """

    def __init__(
        self, values: Iterable[tuple[Hashable, Hashable, float]], rng: np.random.Generator
    ) -> None:
        rows = list(values)
        self._raters = list(dict.fromkeys(row[0] for row in rows))
        self._cells = {cell: k for k, cell in enumerate(dict.fromkeys(row[1] for row in rows))}
        index = {rater: k for k, rater in enumerate(self._raters)}
        self._sums = np.zeros((len(index), len(self._cells)))
        self._counts = np.zeros_like(self._sums)
        for rater, cell, value in rows:
            self._sums[index[rater], self._cells[cell]] += value
            self._counts[index[rater], self._cells[cell]] += 1
        count = max(1, len(self._raters))
        self._weights = rng.multinomial(count, np.full(count, 1 / count), DRAWS).astype(float)

    def mean_of(self, cells: Sequence[Hashable]) -> Interval | None:
        """The mean over cells of each cell's mean; None if one of them has no value."""
        columns = [self._cells[cell] for cell in cells if cell in self._cells]
        if len(columns) < len(cells) or not columns:
            return None
        sums, counts = self._sums[:, columns], self._counts[:, columns]
        mean = float(np.mean(sums.sum(axis=0) / counts.sum(axis=0)))
        raters = int((counts.sum(axis=1) > 0).sum())
        answers = int(counts.sum())
        if raters < 2:
            return Interval(mean, None, None, answers, raters)
        with np.errstate(invalid="ignore", divide="ignore"):
            drawn = ((self._weights @ sums) / (self._weights @ counts)).mean(axis=1)
        # A draw without any value of a cell has no mean; it says nothing.
        drawn = drawn[np.isfinite(drawn)]
        low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Interval(mean, float(low), float(high), answers, raters)


def krippendorff_alpha(units: Mapping[Key, Sequence[float]]) -> float | None:
    """Krippendorff's alpha for interval data: 1 is agreement, 0 is chance.

    Args:
        units: what was rated -> the values that different raters gave; those with fewer than two
            values say nothing about agreement.
    Returns:
        alpha; None if nothing was rated twice, or all values are the same.
    Source: Krippendorff, "Content Analysis", 3rd ed. 2013, ch. 12.

    >>> krippendorff_alpha({"a": [1, 1], "b": [3, 3], "c": [5, 5]})
    1.0
    """
    paired = [np.asarray(values, float) for values in units.values() if len(values) > 1]
    if not paired:
        return None
    everything = np.concatenate(paired)
    total = len(everything)
    # The sum of (a - b)^2 over ordered pairs is 2 n sum (a - mean)^2.
    observed = sum(2 * n * float(np.var(v)) * n / (n - 1) for v in paired for n in [len(v)]) / total
    expected = 2 * total * float(np.var(everything)) / (total - 1)
    return None if expected <= 0 else 1.0 - observed / expected


def wilcoxon_signed_rank(differences: Sequence[float]) -> tuple[float, int]:
    """Two-sided exact p-value of the signed-rank test, and the number of differences not 0.

    Zeros are left out; ties share their mean rank, and the distribution of the sum is counted for
    these very ranks. p is 1 where nothing differs.
    """
    values = np.array([d for d in differences if d != 0.0])
    count = len(values)
    if count == 0:
        return 1.0, 0
    doubled = np.rint(2 * _mid_ranks(np.abs(values))).astype(int)
    total = int(doubled.sum())
    ways = np.zeros(total + 1)
    ways[0] = 1.0
    for rank in doubled:  # halved each time: probabilities, which do not overflow
        shifted = np.zeros_like(ways)
        shifted[rank:] = ways[: total + 1 - rank]
        ways = (ways + shifted) / 2
    smaller = int(min(doubled[values > 0].sum(), doubled[values < 0].sum()))
    return min(1.0, 2.0 * float(ways[: smaller + 1].sum())), count


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for asking many questions (Holm 1979), in the order given.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda k: p_values[k])
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for place, k in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[k]))
        corrected[k] = highest
    return corrected


def grouped(pairs: Iterable[tuple[Key, float]]) -> dict[Key, list[float]]:
    """Values by key."""
    groups: dict[Key, list[float]] = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return dict(groups)


def _mid_ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(np.round(values, 9), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: np.ndarray = (last - (counts - 1) / 2)[inverse]
    return ranks
