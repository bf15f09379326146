"""The last layer of a U-Net of Spleeter's kind: from one feature to the masks of all channels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from unbraid.engines.numpy import compiled
from unbraid.engines.numpy.team import Team
from unbraid.shapes import Float, Float32

_ROWS = 8
"""Rows that a thread takes at once."""


def make_head(
    weight: Float[np.ndarray, "c 1 4 4"], bias: Float[np.ndarray, " c"]
) -> Callable[..., None]:
    """A `Head`; by our own kernels, where they are there."""
    if not compiled.available():
        return Head(weight, bias)
    from unbraid.engines.native.masks import Mask

    own = Mask(weight, bias)
    return lambda logits, magnitudes, outputs, team: own(logits, magnitudes, outputs, team.threads)


class Head:
    """outputs <- magnitudes * sigmoid(conv2d(x, weight, bias, dilation=2, padding=3)).

    Args:
        weight: (channels, 1, 4, 4).
        bias: (channels,).
    """

    def __init__(self, weight: Float[np.ndarray, "c 1 4 4"], bias: Float[np.ndarray, " c"]) -> None:
        self._weight = np.ascontiguousarray(weight.reshape(len(weight), 16), np.float32)
        self._bias = bias.astype(np.float32)[:, None, None]

    def __call__(
        self,
        x: Float32[np.ndarray, "h w"],
        magnitudes: Float32[np.ndarray, "c m f"],
        outputs: Float32[np.ndarray, "c m f"],
        team: Team,
    ) -> None:
        """`x` has three rows and columns of zeros around it; of its rows the first `m` count."""
        _, rows, bins = outputs.shape

        def run(first: int) -> None:
            count = min(_ROWS, rows - first)
            seen = np.empty((4, 4, count, bins), np.float32)
            for row, column in np.ndindex(4, 4):
                top, left = first + 2 * row, 2 * column
                seen[row, column] = x[top : top + count, left : left + bins]
            logits = (self._weight @ seen.reshape(16, -1)).reshape(-1, count, bins) + self._bias
            some = slice(first, first + count)
            with np.errstate(over="ignore"):  # a mask of 0
                outputs[:, some] = magnitudes[:, some] / (1 + np.exp(-logits))

        team.spread(run, range(0, rows, _ROWS))
