"""The distortion filters of BSSEval: how references must be filtered to come nearest an estimate.

An estimate may be a filtered version of its reference, 512 taps from every channel to every
channel, before the rest is called interference or artifacts. The filters are those of least squares
over the whole song.

Source: Vincent et al., IEEE TASLP 2012 (images); Stöter, Liutkus, Ito, LVA/ICA 2018 (version 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unbraid.evaluation.correlations import Correlations


@dataclass(frozen=True)
class Filters:
    """Distortion filters of each estimate.

    Attributes:
        joint: from the channels of all references, (rows, columns, taps).
        own: from those of the estimate's own reference alone, (channels, columns, taps).
    """

    joint: np.ndarray
    own: np.ndarray


def solve_filters(correlations: Correlations, targets: Sequence[int]) -> Filters:
    """The filters that bring the references nearest to the estimates.

    Args:
        correlations: over the whole song.
        targets: for each estimate, which reference is its own.
    """
    matrix = _normal_matrix(correlations.references)
    if correlations.whole:  # as museval: the last digits depend on how many are solved together
        everything = range(len(correlations.references) // correlations.channels)
        parts = [correlations.subset(everything, [e]).estimates for e in range(len(targets))]
        joint = np.concatenate([_solve(matrix, part) for part in parts], axis=1)
    else:
        joint = _solve(matrix, correlations.estimates)
    own = []
    for estimate, source in enumerate(targets):
        part = correlations.subset([source], [estimate])
        own.append(_solve(_normal_matrix(part.references), part.estimates))
    return Filters(joint=joint, own=np.concatenate(own, axis=1))


def _normal_matrix(references: np.ndarray) -> np.ndarray:
    """(rows * taps)²: entry (i k), (j l) is the correlation of rows i and j at lag k - l.

    A tiny number is added to the diagonal, as museval does. It decides what becomes of references
    that are silent in one channel.
    """
    rows, _, lags = references.shape
    taps = (lags + 1) // 2
    matrix = np.empty((rows, taps, rows, taps))
    lag = taps - 1 + np.arange(taps)[:, None] - np.arange(taps)[None, :]
    for i in range(rows):
        for j in range(rows):
            matrix[i, :, j, :] = references[i, j][lag]
    square = matrix.reshape(rows * taps, rows * taps)
    _raise_diagonal(square, np.finfo(np.float64).eps)
    return square


def _solve(matrix: np.ndarray, estimates: np.ndarray) -> np.ndarray:
    """The filters for these correlations with estimates: (rows, columns, taps)."""
    rows, columns, taps = estimates.shape
    right = np.moveaxis(estimates, 1, 2).reshape(rows * taps, columns)
    try:
        filters = np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        # Exactly singular: many filters are equally good. This takes nearly the smallest of them,
        # and changes their results no more than rounding does.
        regular = matrix.copy()
        _raise_diagonal(regular, 16 * np.finfo(np.float64).eps * np.abs(matrix).max())
        filters = np.linalg.solve(regular, right)
    return np.moveaxis(filters.reshape(rows, taps, columns), 2, 1)


def _raise_diagonal(matrix: np.ndarray, amount: float) -> None:
    np.einsum("ii->i", matrix)[:] += amount
