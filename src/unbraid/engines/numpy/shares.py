"""From the outputs of the stems' networks to each stem's share of the mixture."""

from __future__ import annotations

import numpy as np

from unbraid.engines.numpy import compiled
from unbraid.engines.numpy.team import Team
from unbraid.shapes import Float32

SILENCE = 1e-10
"""Added to the sum of all stems' powers."""
_ROWS = 32


def share_out(outputs: Float32[np.ndarray, "s c n f"], exponent: float, team: Team) -> None:
    """outputs <- (outputs^e + silence / stems) / (sum of outputs^e over the stems + silence)."""
    if compiled.available():
        from unbraid.engines.native import masks

        if exponent in masks.QUARTERS:
            masks.share_out(outputs, exponent, SILENCE, team.threads)
            return

    def run(first: int) -> None:
        part = outputs[:, :, first : first + _ROWS]
        part[:] = power(part, exponent)
        part += np.float32(SILENCE) / np.float32(len(part))
        part /= part.sum(0)

    team.spread(run, range(0, outputs.shape[2], _ROWS))


def power(x: np.ndarray, exponent: float) -> np.ndarray:
    """x to a power; quarters by roots, which take a tenth of the time."""
    if exponent == 2:
        squared: np.ndarray = x * x
        return squared
    if exponent == 1:
        return x
    if exponent in (0.5, 0.75, 1.5):
        root = np.sqrt(x)
        result: np.ndarray = (
            root if exponent == 0.5 else root * (np.sqrt(root) if exponent < 1 else x)
        )
        return result
    powered: np.ndarray = x ** np.float32(exponent)
    return powered
