"""Convolutions of 3x3 on images (rows, columns, features)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from unbraid.engines.numpy import compiled
from unbraid.engines.numpy.products import Products
from unbraid.engines.numpy.team import Team
from unbraid.shapes import Float32

_ROWS = 8
"""Rows of an image that a thread takes at once."""


def make_conv(
    weight: Float32[np.ndarray, "o i 3 3"], bias: Float32[np.ndarray, " o"], *, adding: bool
) -> Callable[[np.ndarray, np.ndarray | None, Team], np.ndarray]:
    """A `Conv`; by our own kernels, where they are there."""
    if not compiled.available():
        return Conv(weight, bias, adding=adding)
    from unbraid.engines.native.filters import Same

    own, outs = Same(weight, bias, adding=adding), len(bias)

    def run(x: np.ndarray, to: np.ndarray | None, team: Team) -> np.ndarray:
        to = np.empty((*x.shape[:2], outs), np.float32) if to is None else to
        own(x, to, team.threads)
        return to

    return run


class Conv:
    """to <- relu(conv(x) + bias), or to <- to + conv(x) + bias."""

    def __init__(
        self,
        weight: Float32[np.ndarray, "o i 3 3"],
        bias: Float32[np.ndarray, " o"],
        *,
        adding: bool,
    ) -> None:
        self.outs, self.ins = weight.shape[:2]
        self._product = Products([weight.transpose(2, 3, 1, 0).reshape(-1, self.outs)])
        self._bias, self._adding = bias, adding

    def __call__(
        self, x: Float32[np.ndarray, "h w i"], to: np.ndarray | None, team: Team
    ) -> Float32[np.ndarray, "h w o"]:
        """Gives `to`, which is made where there is none."""
        rows, columns = x.shape[:2]
        padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
        row, pixel, item = padded.strides
        seen = np.lib.stride_tricks.as_strided(
            padded, (rows, columns, 3, 3 * self.ins), (row, pixel, row, item)
        )
        out = np.empty((rows, columns, self.outs), np.float32) if to is None else to
        depth = 9 * self.ins

        def run(first: int) -> None:
            some = slice(first, first + _ROWS)
            flat = np.ascontiguousarray(seen[some]).reshape(1, -1)
            count = flat.size // depth
            made = np.empty((1, count * self.outs), np.float32)
            self._product(flat, depth, count, made, 0, self.outs)
            made = made.reshape(out[some].shape)
            made += self._bias
            if self._adding:
                out[some] += made
            else:
                np.maximum(made, 0, out=out[some])

        team.spread(run, range(0, rows, _ROWS))
        return out
