"""Levels of the two branches outside the core; those of the time branch without norms."""

from __future__ import annotations

import ctypes

import numpy as np

from unbraid.runtimes.native.library import Branch as BranchStruct
from unbraid.runtimes.native.library import Expansion, SpectralEncoder, Winograd, kernels, pointer
from unbraid.runtimes.native.norms import Norm
from unbraid.runtimes.native.packing import PAIRS, gate_panels, pack, pack_bias, pack_mixed
from unbraid.runtimes.native.products import GATED, GELU, PLAIN, Product
from unbraid.runtimes.native.sheets import MARGIN, Pool, Sheet
from unbraid.runtimes.native.weights import Weights, packed_branches

_G = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ]
)
"""Mixes a kernel of three into six: the G of Winograd's F(4, 3), arXiv:1509.09308."""


class SpecEncoder:
    """`SpecEncoderLayer`: (freq, frames, outer) -> (freq / stride, frames, width).

    Without norms a row goes through the whole layer while it is in the cache; with them, rows wait
    for each other at each norm.
    """

    def __init__(
        self, weights: Weights, stride: int, groups: int, dilated: bool, embedding: float
    ) -> None:
        conv = weights.stored("conv.weight")[..., 0]  # (width, outer, kernel)
        self.width, outer, kernel = conv.shape
        self._branches = packed_branches(weights, dilated)
        self._structs = (BranchStruct * len(self._branches))(*(b.struct for b in self._branches))
        gate = weights.stored("gate.conv.weight")[:, :, 0, 0]
        self._norms = None
        if weights.has("norm"):
            names = ("norm", "gate.norm")
            self._norms = tuple(Norm(weights.under(name), groups) for name in names)
        turns = PAIRS if self._norms is None else 1
        self._held = {
            "conv": pack(conv.transpose(2, 1, 0)),
            "conv_bias": pack_bias(weights["conv.bias"]),
            "gate": pack(gate.T[None], turns),
            "gate_bias": pack_bias(weights["gate.conv.bias"], turns),
        }
        name = "embedding.embedding.weight"
        if name in weights:
            self._held["embedding"] = weights[name] * np.float32(embedding)
        self.stride = stride
        self._struct = SpectralEncoder(
            **{name: pointer(array) for name, array in self._held.items()},
            branches=ctypes.addressof(self._structs),
            outer=outer,
            width=self.width,
            kernel=kernel,
            stride=stride,
            padding=kernel // 4,
            branch_count=len(self._branches),
            gate_panels=gate_panels(self.width),
        )

    def __call__(self, x: Sheet, pool: Pool, threads: int) -> Sheet:
        """Encode one level."""
        of = ctypes.byref(self._struct)
        out = pool.sheet(x.rows // self.stride, x.steps, self.width)
        seen = (x.at(), x.rows, x.row_stride, out.at(), out.rows, out.row_stride, x.steps)
        if self._norms is None:
            kernels().encode_rows(of, *seen, MARGIN, threads)
            return out
        norm, gate_norm = self._norms
        kernels().convolve_rows(of, *seen, threads)
        norm.gelu(out, threads)
        both = pool.sheet(out.rows, out.steps, 2 * self.width)
        rows = (out.at(), out.row_stride, both.at(), out.rows, both.row_stride, out.steps)
        kernels().refine_rows(of, *rows, threads)
        gate_norm.glu(both, out, threads)
        if "embedding" in self._held:
            out.inner[:] += self._held["embedding"][: out.rows, None]
        pool.give(both)
        return out


class SpecDecoder:
    """`SpecDecoderLayer`: (freq, frames, width) -> (stride * freq, frames, outer)."""

    def __init__(self, weights: Weights, stride: int, groups: int, outermost: bool) -> None:
        self._gate = SpecGate(weights.under("gate"), groups)
        # (kernel, width, outer): the row above, then the row itself, for each row that comes out
        taps = weights["conv.weight"][..., 0].transpose(2, 0, 1)
        self._taps = taps.reshape(2, stride, *taps.shape[1:])[::-1].swapaxes(0, 1)
        self._bias = weights["conv.bias"]
        self._norm = Norm(weights.under("norm"), groups) if weights.has("norm") else None
        self.stride, self.width, self.outer = stride, taps.shape[1], taps.shape[2]
        self._padding, self._outermost = len(taps) // 4, outermost
        self._expansion = self._pack(1.0, 0.0)

    def _pack(self, gain: float, offset: float) -> tuple[np.ndarray, np.ndarray]:
        bias = self._bias * np.float32(gain) + np.float32(offset)
        packed = np.stack([pack(part * np.float32(gain)) for part in self._taps])
        return packed, pack_bias(bias)

    def __call__(self, x: Sheet, skip: Sheet, pool: Pool, threads: int) -> Sheet:
        """Decode one level that is not the outermost; gives `x` and `skip` back to the pool."""
        y = self._gate(x, skip, pool, threads)
        pool.give(x, skip)
        norm, padding = self._norm, self._padding
        if norm is None:
            return self._expand(y, self._expansion, padding, pool, threads)
        whole = self._expand(y, self._expansion, 0, pool, threads)
        norm.gelu(whole, threads)
        return whole.without_rows(padding)

    def signal(
        self, x: Sheet, skip: Sheet, affine: tuple[float, float], pool: Pool, threads: int
    ) -> Sheet:
        """Decode the outermost level, times a gain and plus an offset."""
        y = self._gate(x, skip, pool, threads)
        pool.give(x, skip)
        return self._expand(y, self._pack(*affine), self._padding, pool, threads)

    def _expand(
        self,
        y: Sheet,
        weights: tuple[np.ndarray, np.ndarray],
        padding: int,
        pool: Pool,
        threads: int,
    ) -> Sheet:
        packed, bias = weights
        out = pool.sheet((y.rows + 1) * self.stride - 2 * padding, y.steps, self.outer)
        of = Expansion(
            packed=pointer(packed),
            bias=pointer(bias),
            width=self.width,
            outer=self.outer,
            stride=self.stride,
            padding=padding,
            activated=not self._outermost and self._norm is None,
        )
        sheets = (y.at(), y.rows, y.row_stride, out.at(), out.row_stride, y.steps)
        kernels().expand_rows(ctypes.byref(of), *sheets, threads)
        pool.give(y)
        return out


class SpecGate:
    """The gated 3x3 convolution of a decoder: (freq, frames, width) twice -> the same shape."""

    def __init__(self, weights: Weights, groups: int) -> None:
        kernel = weights.stored("conv.weight")  # (2 width, width, 3, 3)
        self.width = kernel.shape[1]
        taps = kernel.reshape(*kernel.shape[:2], 9).transpose(2, 1, 0)
        self._packed = pack_mixed(taps, np.kron(_G, _G))
        self._bias = pack_bias(weights["conv.bias"], PAIRS)
        self._norm = Norm(weights.under("norm"), groups) if weights.has("norm") else None
        self._struct = Winograd(
            packed=pointer(self._packed),
            bias=pointer(self._bias),
            width=self.width,
            gate_panels=gate_panels(self.width),
            gated=self._norm is None,
        )

    def __call__(self, x: Sheet, skip: Sheet, pool: Pool, threads: int) -> Sheet:
        """Gate x + skip."""
        out = pool.sheet(x.rows, x.steps, self.width)
        to = out if self._norm is None else pool.sheet(x.rows, x.steps, 2 * self.width)
        sheets = (x.at(), x.row_stride, skip.at(), skip.row_stride, to.at(), to.row_stride)
        kernels().gate_rows(ctypes.byref(self._struct), *sheets, x.rows, x.steps, threads)
        if self._norm is not None:
            self._norm.glu(to, out, threads)
            pool.give(to)
        return out


class HopConvolution:
    """A strided convolution over time, its kernel two strides: `stride` steps side by side are one
    row of a matrix, and the next row overlaps it by half."""

    def __init__(self, weight: np.ndarray, bias: np.ndarray | None, stride: int, then: int) -> None:
        self.width, self._outer, self._kernel = weight.shape
        self._stride = stride
        self._product = Product(weight.transpose(2, 1, 0), bias, then)

    def steps(self, x: Sheet) -> int:
        """How many steps come out."""
        return -(-x.steps // self._stride)

    def __call__(self, x: Sheet, out: Sheet, threads: int) -> None:
        """Convolve, as `TimeEncoderLayer` pads."""
        first, stride = x.at(0, -(self._kernel // 4)), self._stride * self._outer
        self._product([first], stride, out.steps, out.at(), out.width, threads)


class TimeEncoder:
    """`TimeEncoderLayer` without norms: (steps, outer) -> (ceil(steps / stride), width)."""

    def __init__(self, weights: Weights, stride: int, dilated: bool) -> None:
        self._conv = HopConvolution(
            weights.stored("conv.weight"), weights["conv.bias"], stride, GELU
        )
        self.width = self._conv.width
        self._branches = packed_branches(weights, dilated)
        gate = weights.stored("gate.conv.weight")[:, :, 0]
        self._gate = Product(gate.T[None], weights["gate.conv.bias"], GATED)

    def __call__(self, x: Sheet, pool: Pool, threads: int) -> Sheet:
        """Encode one level."""
        y = pool.sheet(1, self._conv.steps(x), self.width)
        self._conv(x, y, threads)
        for branch in self._branches:
            h = pool.take(y.steps * branch.stride)
            branch.squeeze(y.at(), y.steps, h, threads)
            branch.expand(h, y.steps, y.at(), threads)
            pool.give(h)
        out = pool.sheet(1, y.steps, self.width)
        self._gate([y.at()], y.width, y.steps, out.at(), out.width, threads)
        pool.give(y)
        return out


class TransposedHops:
    """The transposed convolution that mirrors `HopConvolution`: hops in, `stride` times as many
    steps out."""

    def __init__(self, weight: np.ndarray, bias: np.ndarray, stride: int, then: int) -> None:
        width, self.outer, kernel = weight.shape
        self._padding, self._stride = kernel // 4, stride
        halves = weight.reshape(width, self.outer, 2, stride)
        both = halves[:, :, ::-1].transpose(2, 0, 3, 1)  # the hop before, then the hop itself
        self._product = Product(both, np.tile(bias, stride), then)

    def __call__(self, y: Sheet, samples: int, pool: Pool, threads: int) -> Sheet:
        """Steps as the encoder layer was given them, cut to their number."""
        out = pool.sheet(1, samples, self.outer)
        self._run(y, out.at(0, -self._padding), threads)
        out.hush()  # what is cut off went there
        return out

    def uncut(self, y: Sheet, pool: Pool, threads: int) -> Sheet:
        """All steps."""
        out = pool.sheet(1, self._stride * (y.steps + 1), self.outer)
        self._run(y, out.at(), threads)
        return out

    def _run(self, y: Sheet, out: int, threads: int) -> None:
        hop = self._stride * self.outer
        self._product([y.at(0, -1)], y.width, y.steps + 1, out, hop, threads)


class StepGate:
    """A convolution of three steps to twice the width, and its GLU if `gated`."""

    def __init__(self, kernel: np.ndarray, bias: np.ndarray, *, gated: bool) -> None:
        width = kernel.shape[1]
        self._packed = pack_mixed(kernel.transpose(2, 1, 0), _G)
        self._bias = pack_bias(bias, PAIRS)
        self._struct = Winograd(
            packed=pointer(self._packed),
            bias=pointer(self._bias),
            width=width,
            gate_panels=gate_panels(width),
            gated=gated,
        )

    def __call__(self, x: Sheet, out: Sheet, threads: int) -> None:
        """(1, steps, width) -> the same shape, or twice the width."""
        kernels().gate_steps(ctypes.byref(self._struct), x.at(), out.at(), x.steps, threads)


class TimeDecoder:
    """`TimeDecoderLayer` without norms: (steps, width) -> (samples, outer)."""

    def __init__(self, weights: Weights, stride: int, outermost: bool) -> None:
        gate = weights.stored("gate.conv.weight")  # (2 width, width, 3)
        self._gate = StepGate(gate, weights["gate.conv.bias"], gated=True)
        self._conv = TransposedHops(
            weights.stored("conv.weight"),
            weights["conv.bias"],
            stride,
            PLAIN if outermost else GELU,
        )

    def __call__(self, x: Sheet, skip: Sheet, samples: int, pool: Pool, threads: int) -> Sheet:
        """Decode one level; gives `x` and `skip` back to the pool."""
        kernels().add(x.at(), skip.at(), x.steps * x.width, threads)
        self._gate(x, skip, threads)
        out = self._conv(skip, samples, pool, threads)
        pool.give(x, skip)
        return out
