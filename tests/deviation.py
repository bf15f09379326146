"""How far numbers are from those that are wanted."""

from __future__ import annotations

from typing import Any

import numpy as np


def deviation_db(found: Any, wanted: Any) -> float:
    """Energy of the error in decibels below that of `wanted`; about -300 where there is none.

    >>> deviation_db([1.0, 0.9], [1.0, 1.0]) < -23
    True
    """
    found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    return float(10 * np.log10(np.square(found - wanted).sum() / np.square(wanted).sum() + 1e-30))
