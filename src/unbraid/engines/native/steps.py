"""Levels of the time branch and of the core: (steps, width), one row."""

from __future__ import annotations

import ctypes

import numpy as np

from unbraid.engines.native.branches import Branch
from unbraid.engines.native.library import Winograd, kernels, pointer
from unbraid.engines.native.norms import GroupNorm
from unbraid.engines.native.packing import (
    PAIR_DEPTH,
    PAIRS,
    MixedWeights,
    gate_panels,
    pack_bias,
)
from unbraid.engines.native.products import (
    ADD_GELU,
    GATED,
    GELU,
    PLAIN,
    HopFilter,
    Product,
)
from unbraid.engines.native.sheets import Pool, Sheet
from unbraid.engines.native.weights import Weights, numbered_branches
from unbraid.engines.native.winograd import INPUT_SIZES, MIXING

_MANY = 1 << 20
"""Weights that are better fetched as they are than used more cleverly."""


class Hops:
    """Filters of two hops, however they are computed best.

    Args:
        weight: (2, depth, columns), any view.
        bias: (columns,), or None.
        then: one of PLAIN, GELU, ADD, ADD_GELU.
    """

    def __init__(self, weight: np.ndarray, bias: np.ndarray | None, then: int) -> None:
        self._depth = weight.shape[1]
        together = self._depth >= PAIR_DEPTH and weight.size < _MANY
        self._filter = (HopFilter if together else Product)(weight, bias, then)

    def __call__(self, hops: int, rows: int, out: int, out_stride: int, threads: int) -> None:
        """As `HopFilter` does."""
        if isinstance(self._filter, HopFilter):
            self._filter(hops, rows, out, out_stride, threads)
        else:
            self._filter([hops], self._depth, rows, out, out_stride, threads)


class HopConvolution:
    """A strided convolution over time, its kernel two strides: `stride` steps side by side are one
    hop."""

    def __init__(self, weight: np.ndarray, bias: np.ndarray | None, stride: int, then: int) -> None:
        self.width, self._outer, self._kernel = weight.shape
        self._stride = stride
        # (2 * stride, outer, width), of which half is one hop of stride * outer values
        taps = weight.transpose(2, 1, 0).reshape(2, stride * self._outer, self.width)
        self._hops = Hops(taps, bias, then)

    def steps(self, x: Sheet) -> int:
        """How many steps come out."""
        return -(-x.steps // self._stride)

    def __call__(self, x: Sheet, out: Sheet, threads: int) -> None:
        """Convolve, as `TimeEncoderLayer` pads."""
        first = x.at(0, -(self._kernel // 4))
        self._hops(first, out.steps, out.at(), out.width, threads)


class TransposedHops:
    """The transposed convolution that mirrors `HopConvolution`, its norm and GELU, added to the
    skip of the level that it comes to. The outermost has neither, and is not added to anything."""

    def __init__(
        self,
        weights: Weights,
        stride: int,
        groups: int,
        *,
        outermost: bool = False,
        conv: str = "conv",
        norm: str = "norm",
    ) -> None:
        weight = weights.stored(f"{conv}.weight")
        width, self.outer, kernel = weight.shape
        self._padding, self._stride = kernel // 4, stride
        halves = weight.reshape(width, self.outer, 2, stride)
        both = halves[:, :, ::-1].transpose(2, 0, 3, 1)  # the hop before, then the hop itself
        self._norm = GroupNorm(weights.under(norm), groups) if weights.has(norm) else None
        then = PLAIN if outermost or self._norm else ADD_GELU
        self._hops = Hops(both, np.tile(weights[f"{conv}.bias"], stride), then)

    def __call__(self, y: Sheet, out: Sheet, pool: Pool, threads: int) -> None:
        """(hops, width) into `out`, the steps that the encoder layer was given."""
        if self._norm is None:
            self._run(y, out.at(0, -self._padding), threads)
            out.hush()  # what is cut off went there
            return
        whole = pool.sheet(1, self._stride * (y.steps + 1), self.outer)
        self._run(y, whole.at(), threads)
        self._norm.gelu(whole, threads)  # which counts what is then cut off
        kernels().add(out.at(), whole.at(0, self._padding), out.steps * out.width, threads)
        pool.give(whole)

    def _run(self, y: Sheet, out: int, threads: int) -> None:
        self._hops(y.at(0, -1), y.steps + 1, out, self._stride * self.outer, threads)


_WIDE = 512
"""From this width on there are few steps and many weights, which are not kept mixed."""


class StepGate:
    """A convolution of three steps to twice the width, and its GLU if `gated`."""

    def __init__(self, kernel: np.ndarray, bias: np.ndarray, *, gated: bool) -> None:
        width = kernel.shape[1]
        taps = kernel.transpose(2, 1, 0)
        self._weights = MixedWeights(taps, MIXING, INPUT_SIZES, later=width >= _WIDE)
        self._bias = pack_bias(bias, PAIRS)
        self._struct = Winograd(
            **self._weights.fields(),
            bias=pointer(self._bias),
            ins=width,
            width=width,
            gate_panels=gate_panels(width),
            gated=gated,
        )

    def __call__(self, x: Sheet, out: Sheet, threads: int) -> None:
        """(1, steps, width) -> the same shape, or twice the width."""
        kernels().gate_steps(ctypes.byref(self._struct), x.at(), out.at(), x.steps, threads)


class Gate:
    """Convolution to twice the width, norm, GLU, on a single row: of a 3x3 kernel only the middle
    row sees anything."""

    def __init__(self, weights: Weights, groups: int) -> None:
        kernel = weights.stored("conv.weight")
        if kernel.ndim == 4:
            kernel = kernel[:, :, kernel.shape[2] // 2]
        self._norm = GroupNorm(weights.under("norm"), groups) if weights.has("norm") else None
        gated, bias = self._norm is None, weights["conv.bias"]
        self._convolve: StepGate | Product
        if kernel.shape[2] == 3:
            self._convolve = StepGate(kernel, bias, gated=gated)
        else:
            self._convolve = Product(kernel.transpose(2, 1, 0), bias, GATED if gated else PLAIN)

    def __call__(self, x: Sheet, pool: Pool, threads: int) -> Sheet:
        """(1, steps, width) -> the same shape."""
        out = pool.sheet(1, x.steps, x.width)
        to = out if self._norm is None else pool.sheet(1, x.steps, 2 * x.width)
        if isinstance(self._convolve, StepGate):
            self._convolve(x, to, threads)
        else:
            self._convolve([x.at()], x.width, x.steps, to.at(), to.width, threads)
        if self._norm is not None:
            self._norm.glu(to, out, threads)
            pool.give(to)
        return out


class Refining:
    """What follows the convolution of an encoder layer: norm and GELU, unless the convolution has
    them done already, residual branches, gate."""

    def __init__(
        self, weights: Weights, groups: int, dilated: bool, *, activated: bool = False
    ) -> None:
        self._norm = None if activated else GroupNorm(weights.under("norm"), groups)
        self._branches = numbered_branches(weights, dilated, Branch)
        self._gate = Gate(weights.under("gate"), groups)

    def __call__(self, y: Sheet, pool: Pool, threads: int) -> Sheet:
        """Refine; gives `y` back to the pool."""
        if self._norm is not None:
            self._norm.gelu(y, threads)
        for branch in self._branches:
            branch(y, pool, threads)
        out = self._gate(y, pool, threads)
        pool.give(y)
        return out


class TimeEncoder:
    """`TimeEncoderLayer`: (steps, outer) -> (ceil(steps / stride), width)."""

    def __init__(self, weights: Weights, stride: int, groups: int, dilated: bool) -> None:
        normed = weights.has("norm")
        conv, then = weights.stored("conv.weight"), PLAIN if normed else GELU
        self._conv = HopConvolution(conv, weights["conv.bias"], stride, then)
        self._refine = Refining(weights, groups, dilated, activated=not normed)

    def __call__(self, x: Sheet, pool: Pool, threads: int) -> Sheet:
        """Encode one level."""
        y = pool.sheet(1, self._conv.steps(x), self._conv.width)
        self._conv(x, y, threads)
        return self._refine(y, pool, threads)


class TimeDecoder:
    """`TimeDecoderLayer`: (steps, width) -> (samples, outer), added to what is there already, which
    is the next layer's skip."""

    def __init__(
        self,
        weights: Weights,
        stride: int,
        groups: int,
        *,
        outermost: bool = False,
        dilated: bool = True,
    ) -> None:
        self._gate = Gate(weights.under("gate"), groups)
        self._branches = numbered_branches(weights, dilated, Branch)
        self._conv = TransposedHops(weights, stride, groups, outermost=outermost)

    def __call__(self, x: Sheet, out: Sheet, pool: Pool, threads: int) -> Sheet:
        """Decode one level into `out`; gives `x` back to the pool."""
        y = self._gate(x, pool, threads)
        pool.give(x)
        for branch in self._branches:
            branch(y, pool, threads)
        self._conv(y, out, pool, threads)
        pool.give(y)
        return out
