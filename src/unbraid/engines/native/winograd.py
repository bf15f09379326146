"""Winograd's algorithm F(4, 3) for convolutions of three taps."""

from __future__ import annotations

import math

import numpy as np

_INNER, _OUTER = math.sqrt(0.5), math.sqrt(2)
"""Points of winograd.hpp."""

MIXING = np.array(
    [
        [1, 0, 0],
        [-2 / 3, -2 / 3 * _INNER, -1 / 3],
        [-2 / 3, 2 / 3 * _INNER, -1 / 3],
        [1 / 6, 1 / 6 * _OUTER, 1 / 3],
        [1 / 6, -1 / 6 * _OUTER, 1 / 3],
        [0, 0, 1],
    ]
)
"""Mixes the three weights of a kernel into six: G of Lavin and Gray, arXiv:1509.09308, at other
points."""

INPUT_SIZES = np.sqrt([8.25, 7.5, 7.5, 3.75, 3.75, 8.25])
"""How large inputs are when they are mixed, if they were 1: lengths of the rows of B^T there."""
