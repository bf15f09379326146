"""Fewer products for a filter: F(m, r) makes m results of a filter of r taps by m + r - 1 products.

Inputs are mixed by B, multiplied by taps that G mixed once, and A mixes the products into results.
Here a product is a whole row of an image times a matrix, so mixing costs next to nothing.

Source: Lavin and Gray, "Fast algorithms for convolutional neural networks", arXiv:1509.09308; the
matrices follow from the points at which polynomials are evaluated (Toom, Cook).
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from unbraid.shapes import Float64

_POINTS = (0.0, 1.0, -1.0, 2.0, -2.0)


class Filter(NamedTuple):
    """Matrices of one F(m, r); p = m + r - 1."""

    mix: Float64[np.ndarray, "p p"]
    taps: Float64[np.ndarray, "p r"]
    join: Float64[np.ndarray, "m p"]


@functools.cache
def filter_matrices(results: int, taps: int) -> Filter:
    """F(results, taps). One result at a time is the plain filter.

    >>> mix, taps, join = filter_matrices(2, 3)
    >>> signal, kernel = np.array([1.0, 2, 3, 4]), np.array([1.0, 0, -1])
    >>> (join @ ((mix @ signal) * (taps @ kernel))).round(6).tolist()
    [-2.0, -2.0]
    """
    if results == 1:
        return Filter(np.eye(taps), np.eye(taps), np.ones((1, taps)))
    count = results + taps - 1
    points = np.array(_POINTS[: count - 1])
    mix, weights, join = (np.zeros(s) for s in ((count, count), (count, taps), (results, count)))
    for index, point in enumerate(points):
        others = np.delete(points, index)
        mix[index, : count - 1] = np.poly(others)[::-1]
        weights[index] = point ** np.arange(taps) / np.prod(point - others)
        join[:, index] = point ** np.arange(results)
    mix[-1] = np.poly(points)[::-1]
    weights[-1, -1] = join[-1, -1] = 1
    return Filter(mix, weights, join)
