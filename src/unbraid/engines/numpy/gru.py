"""A GRU over one sequence, both ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from unbraid.engines.numpy import compiled
from unbraid.shapes import Float32

Weights = Mapping[str, np.ndarray]


def make_gru(forth: Weights, back: Weights) -> Callable[[np.ndarray, int], np.ndarray]:
    """A `Gru`; by our own kernels, where they are there and run so many units."""
    if compiled.available():
        from unbraid.engines.native import masks

        if masks.gru_fits(forth["weight_hh"].shape[1]):
            return masks.Gru((forth, back))
    return Gru(forth, back)


class Gru:
    """Reset, update and new value as in torch.

    Args:
        forth, back: `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh` of each direction.
    """

    def __init__(self, forth: Weights, back: Weights) -> None:
        self._ways = [
            (w["weight_ih"].T.copy(), w["weight_hh"].T.copy(), w["bias_ih"], w["bias_hh"])
            for w in (forth, back)
        ]

    def __call__(
        self, x: Float32[np.ndarray, "n inputs"], threads: int
    ) -> Float32[np.ndarray, "n units2"]:
        """States of both directions, side by side."""
        there = _run(x, *self._ways[0])
        back = _run(x[::-1], *self._ways[1])[::-1]
        return np.concatenate([there, back], 1)


def _run(
    x: np.ndarray, w_in: np.ndarray, w_own: np.ndarray, b_in: np.ndarray, b_own: np.ndarray
) -> np.ndarray:
    """One direction: (steps, inputs) -> (steps, units)."""
    entered, units = x @ w_in + b_in, len(w_own)
    state = np.zeros(units, np.float32)
    states = np.empty((len(x), units), np.float32)
    for step, coming in enumerate(entered):
        own = state @ w_own + b_own
        gates = 1 / (1 + np.exp(-(coming[: 2 * units] + own[: 2 * units])))
        reset, update = gates[:units], gates[units:]
        fresh = np.tanh(coming[2 * units :] + reset * own[2 * units :])
        state = fresh + update * (state - fresh)
        states[step] = state
    return states
