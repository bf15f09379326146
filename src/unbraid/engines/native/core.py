"""The shared core's ends: where the branches meet and where they part."""

from __future__ import annotations

from unbraid.engines.native.norms import GroupNorm
from unbraid.engines.native.products import ADD, PLAIN, Product
from unbraid.engines.native.sheets import Pool, Sheet
from unbraid.engines.native.steps import Gate, HopConvolution, Refining, TransposedHops
from unbraid.engines.native.weights import Weights


class Meeting:
    """`MeetingEncoder`: all rows left become one, and the time branch is added."""

    def __init__(self, weights: Weights, stride: int, groups: int, dilated: bool) -> None:
        kernel = weights.stored("conv.weight")[..., 0]  # (width, outer, rows)
        self._rows = Product(
            kernel.transpose(2, 1, 0),
            weights["conv.bias"] + weights["time_conv.bias"],
            PLAIN,
        )
        self._time = HopConvolution(weights.stored("time_conv.weight"), None, stride, ADD)
        self._refine = Refining(weights, groups, dilated)

    def __call__(self, x: Sheet, t: Sheet, pool: Pool, threads: int) -> Sheet:
        """(rows, frames, outer) and (steps, outer) -> (1, frames, width)."""
        y = pool.sheet(1, x.steps, self._rows.columns)
        rows = [x.at(row) for row in range(x.rows)]
        self._rows(rows, x.width, x.steps, y.at(), y.width, threads)
        self._time(t, y, threads)
        return self._refine(y, pool, threads)


class Parting:
    """`PartingDecoder`: one gate, then a transposed convolution for each branch."""

    def __init__(self, weights: Weights, stride: int, groups: int) -> None:
        self._gate = Gate(weights.under("gate"), groups)
        taps = weights.stored("conv.weight")[..., 0].transpose(2, 0, 1)  # (rows, width, outer)
        self._rows = [Product(tap[None], weights["conv.bias"], PLAIN) for tap in taps]
        self._norm = GroupNorm(weights.under("norm"), groups)
        self._time = TransposedHops(weights, stride, groups, conv="time_conv", norm="time_norm")

    def __call__(self, y: Sheet, x: Sheet, t: Sheet, pool: Pool, threads: int) -> None:
        """Added to the rows `x` of the spectral branch and the steps `t` of the time branch; gives
        `y` back to the pool."""
        gated = self._gate(y, pool, threads)
        pool.give(y)
        rows = pool.sheet(x.rows, x.steps, x.width)
        for row, product in enumerate(self._rows):
            product([gated.at()], gated.width, x.steps, rows.at(row), rows.width, threads)
        self._norm.gelu(rows, threads)
        x.add(rows, threads)
        pool.give(rows)
        self._time(gated, t, pool, threads)
        pool.give(gated)
