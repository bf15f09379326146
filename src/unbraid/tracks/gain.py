"""The one gain that all stems of a track share, so that they still add up.

With a part that closes the sum (a residual, or the complement of one stem) that part must fit into
full scale, too. It is x - g S, of the input x and the sum S of the written stems, so every sample
where it would not fit bounds the gain g from above.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from unbraid.audio.levels import shared_gain

LOWEST_FOR_CLOSING = 0.5
"""The closing part may cost the stems 6 dB; beyond that, single samples are moved (`encode.py`)."""


@dataclass
class GainMeter:
    """Listens to stems and input, and knows the gain that leaves the closing part room.

    Attributes:
        ceiling: greatest magnitude that can be written.
        peak: greatest magnitude in any stem.
    """

    ceiling: float
    peak: float
    _bound: float = math.inf

    def push(self, stems: np.ndarray, source: np.ndarray) -> None:
        """Take blocks of the stems (s c n) and of the input (c n)."""
        self._bound = min(self._bound, self._closing_bound(stems.sum(axis=0), source))

    def gain(self) -> float:
        """At most 1."""
        fits = shared_gain(self.peak, self.ceiling)
        return min(fits, max(self._bound, LOWEST_FOR_CLOSING))

    def _closing_bound(self, total: np.ndarray, source: np.ndarray) -> float:
        # With g = 0 the closing part is the input, so its own magnitude is always allowed.
        room = np.maximum(np.abs(source), self.ceiling)
        over = np.abs(source - total) > room
        if not over.any():
            return math.inf  # |x - g S| is convex in g: what fits at 0 and 1 fits between
        total, source, room = total[over], source[over], room[over]
        return float(np.min((room + np.sign(total) * source) / np.abs(total)))
