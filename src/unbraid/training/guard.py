"""Checks every step before it counts: a loss that is NaN, infinite or exploding is refused.

The run then returns to its last saved state and continues in another order, so that it does not
meet the same batch in the same place. Refused steps are recorded in `trouble.jsonl`.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Mapping
from typing import Any

from unbraid.training.config import GuardRecipe
from unbraid.words import counted

_ENOUGH = 10  # losses needed for a useful median


class Guard:
    """The last losses, and a count of refused steps.

    >>> guard = Guard(GuardRecipe(factor=10))
    >>> for _ in range(10): guard.accept(0.1)
    >>> guard.trouble(1.5, 1.0)
    'the loss exploded: 1.5, the median of the last 10 steps is 0.1'
    >>> guard.trouble(float("nan"), 1.0)
    'the loss is nan'
    """

    def __init__(self, recipe: GuardRecipe) -> None:
        self._recipe = recipe
        self._losses: deque[float] = deque(maxlen=recipe.window)
        self.attempt = 0
        """How often the run has returned to a saved state."""
        self._in_a_row = 0
        self._last_step = -1

    def trouble(self, loss: float, gradient_norm: float | None) -> str | None:
        """The problem of a step, in words; None if it is good.

        Args:
            loss: without penalties.
            gradient_norm: None if it is meaningless, as before a loss scaler has settled.
        """
        if not math.isfinite(loss):
            return f"the loss is {loss:g}"
        if gradient_norm is not None and not math.isfinite(gradient_norm):
            return f"the gradient's norm is {gradient_norm:g}"
        if len(self._losses) >= min(_ENOUGH, self._recipe.window):
            median = statistics.median(self._losses)
            if loss > self._recipe.factor * median > 0:
                return (
                    f"the loss exploded: {loss:.4g}, the median of the last "
                    f"{counted(len(self._losses), 'step')} is {median:.4g}"
                )
        return None

    def accept(self, loss: float) -> None:
        """Remember the loss of a step that counts."""
        self._losses.append(loss)

    def count(self, step: int) -> bool:
        """Count trouble at a step; returns whether the run should continue.

        Trouble is in a row until the run has come `window` steps beyond the last.
        """
        near = self._last_step >= 0 and step <= self._last_step + self._recipe.window
        self._in_a_row = self._in_a_row + 1 if near else 1
        self._last_step = max(self._last_step, step)
        self.attempt += 1
        return self._in_a_row <= self._recipe.repeats

    def state(self) -> dict[str, Any]:
        """Its state, as plain values."""
        return {
            "losses": list(self._losses),
            "attempt": self.attempt,
            "in_a_row": self._in_a_row,
            "last_step": self._last_step,
        }

    def load(self, state: Mapping[str, Any], *, keep_count: bool = False) -> None:
        """Restore a saved state; `keep_count` restores only the losses."""
        self._losses = deque(state["losses"], maxlen=self._recipe.window)
        if not keep_count:
            self.attempt = int(state["attempt"])
            self._in_a_row, self._last_step = int(state["in_a_row"]), int(state["last_step"])
