"""What one stem or mixture of a track holds: levels, silence, clipping, offset."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from unbraid.audio.loudness import LoudnessMeter

SILENCE_DB = -60.0
"""A block of 50 ms below this level (dBFS, RMS) is silent."""

LEVEL_POINTS = 120
"""Points of a level curve."""

_BLOCK_S = 0.05
_FULL_SCALE = 0.9999


@dataclass(frozen=True)
class PartCheck:
    """What a stem or a mixture holds.

    Attributes:
        loudness_lufs: BS.1770-4; None for silence.
        rms_db, peak_db: over all channels, dBFS; None for silence.
        silent_share: share of blocks of 50 ms below `SILENCE_DB`.
        clipped: samples at full scale with full scale on both sides.
        offset: mean of all samples.
        levels_db: RMS of `LEVEL_POINTS` equal stretches from start to end, dBFS, -120 at least.
    """

    loudness_lufs: float | None
    rms_db: float | None
    peak_db: float | None
    silent_share: float
    clipped: int
    offset: float
    levels_db: tuple[float, ...]


class PartMeter:
    """Finds a `PartCheck` block by block.

    Attributes:
        power: sum of the squares of all samples so far, over all channels.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._loudness = LoudnessMeter(sample_rate, channels)
        self._block = max(1, round(_BLOCK_S * sample_rate))
        self._rest = np.empty(0)
        self._powers: list[np.ndarray] = []
        self._full = np.zeros((channels, 2), bool)
        self._channels = channels
        self._count, self._sum, self._peak, self._clipped = 0, 0.0, 0.0, 0
        self.power = 0.0

    def push(self, block: np.ndarray) -> None:
        """Add a block (channels, samples)."""
        self._loudness.push(block)
        squares = np.square(block, dtype=np.float64).mean(axis=0)
        self.power += float(squares.sum()) * self._channels
        self._count += block.shape[1]
        self._sum += float(block.mean(axis=0, dtype=np.float64).sum())
        self._peak = max(self._peak, float(np.abs(block).max()))
        full = np.concatenate([self._full, np.abs(block) >= _FULL_SCALE], axis=1)
        self._clipped += int((full[:, :-2] & full[:, 1:-1] & full[:, 2:]).sum())
        self._full = full[:, -2:]
        squares = np.concatenate([self._rest, squares])
        whole = len(squares) // self._block * self._block
        self._powers.append(squares[:whole].reshape(-1, self._block).mean(axis=1))
        self._rest = squares[whole:]

    def finish(self) -> PartCheck:
        """What all blocks held."""
        if len(self._rest):
            self._powers.append(np.array([self._rest.mean()]))
        powers = np.concatenate([np.zeros(0), *self._powers])
        loudness = self._loudness.loudness_lufs()
        edges = np.linspace(0, len(powers), LEVEL_POINTS + 1)
        levels = [
            float(powers[int(a) : max(int(a) + 1, int(b))].mean()) if len(powers) else 0.0
            for a, b in itertools.pairwise(edges)
        ]
        mean_power = self.power / max(1, self._count * self._channels)
        return PartCheck(
            loudness_lufs=loudness if math.isfinite(loudness) else None,
            rms_db=_db(mean_power),
            peak_db=_db(self._peak**2),
            silent_share=float(np.mean(powers < 10 ** (SILENCE_DB / 10))) if len(powers) else 1.0,
            clipped=self._clipped,
            offset=self._sum / max(1, self._count),
            levels_db=tuple(max(-120.0, _db(level) or -120.0) for level in levels),
        )


def _db(power: float) -> float | None:
    return 10 * math.log10(power) if power > 0 and math.isfinite(power) else None
