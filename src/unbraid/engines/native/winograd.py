"""Winograd's algorithm F(4, 3) for convolutions of three taps."""

from __future__ import annotations

import numpy as np

MIXING = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ]
)
"""Mixes the three weights of a kernel into six: G of Lavin and Gray, arXiv:1509.09308."""

INPUT_SIZES = np.sqrt([42.0, 34.0, 34.0, 10.0, 10.0, 42.0])
"""How large inputs are when they are mixed, if they were 1: lengths of the rows of B^T there."""
