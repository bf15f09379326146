"""Levels of the two branches outside the core: encoders and decoders, without norms."""

from __future__ import annotations

import ctypes

import numpy as np

from unbraid.runtimes.native.library import Branch as BranchStruct
from unbraid.runtimes.native.library import Expansion, SpectralEncoder, Winograd, kernels, pointer
from unbraid.runtimes.native.packing import PAIRS, gate_panels, pack, pack_bias
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
    """`SpecEncoderLayer`: (freq, frames, outer) -> (freq / stride, frames, width)."""

    def __init__(self, weights: Weights, stride: int, dilated: bool, embedding: float) -> None:
        conv = weights.stored("conv.weight")[..., 0]  # (width, outer, kernel)
        self.width, outer, kernel = conv.shape
        self._branches = packed_branches(weights, dilated)
        self._structs = (BranchStruct * len(self._branches))(*(b.struct for b in self._branches))
        gate = weights.stored("gate.conv.weight")[:, :, 0, 0]
        self._held = {
            "conv": pack(conv.transpose(2, 1, 0)),
            "conv_bias": pack_bias(weights["conv.bias"]),
            "gate": pack(gate.T[None], PAIRS),
            "gate_bias": pack_bias(weights["gate.conv.bias"], PAIRS),
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
        out = pool.sheet(x.rows // self.stride, x.steps, self.width)
        kernels().encode_rows(
            ctypes.byref(self._struct),
            x.at(),
            x.rows,
            x.row_stride,
            out.at(),
            out.rows,
            out.row_stride,
            x.steps,
            MARGIN,
            threads,
        )
        return out


class SpecDecoder:
    """`SpecDecoderLayer`: (freq, frames, width) -> (stride * freq, frames, outer)."""

    def __init__(self, weights: Weights, stride: int, outermost: bool) -> None:
        gate = weights["gate.conv.weight"]  # (2 width, width, 3, 3)
        self.width = gate.shape[1]
        both = np.kron(_G, _G).astype(np.float32) @ gate.reshape(-1, 9).T  # (36, 2 width * width)
        mixed = both.reshape(36, -1, self.width).swapaxes(1, 2)
        self._gate = np.stack([pack(part[None], PAIRS) for part in mixed])
        self._gate_bias = pack_bias(weights["gate.conv.bias"], PAIRS)
        self._winograd = Winograd(
            packed=pointer(self._gate),
            bias=pointer(self._gate_bias),
            width=self.width,
            gate_panels=gate_panels(self.width),
        )
        # (kernel, width, outer): the row above, then the row itself, for each row that comes out
        taps = weights["conv.weight"][..., 0].transpose(2, 0, 1)
        self._taps = taps.reshape(2, stride, *taps.shape[1:])[::-1].swapaxes(0, 1)
        self._bias = weights["conv.bias"]
        self.stride, self.outer, self.activated = stride, taps.shape[2], not outermost
        self._padding = len(taps) // 4
        self._expansion = self._pack(1.0, 0.0)

    def _pack(self, gain: float, offset: float) -> tuple[np.ndarray, np.ndarray]:
        bias = self._bias * np.float32(gain) + np.float32(offset)
        packed = np.stack([pack(part * np.float32(gain)) for part in self._taps])
        return packed, pack_bias(bias)

    def __call__(
        self,
        x: Sheet,
        skip: Sheet,
        pool: Pool,
        threads: int,
        affine: tuple[float, float] | None = None,
    ) -> Sheet:
        """Decode one level; gives `x` and `skip` back to the pool. `affine`: gain and offset."""
        y = pool.sheet(x.rows, x.steps, self.width)
        kernels().gate_rows(
            ctypes.byref(self._winograd),
            x.at(),
            x.row_stride,
            skip.at(),
            skip.row_stride,
            y.at(),
            y.row_stride,
            x.rows,
            x.steps,
            threads,
        )
        pool.give(x, skip)
        packed, bias = self._expansion if affine is None else self._pack(*affine)
        out = pool.sheet(x.rows * self.stride, x.steps, self.outer)
        expansion = Expansion(
            packed=pointer(packed),
            bias=pointer(bias),
            width=self.width,
            outer=self.outer,
            stride=self.stride,
            padding=self._padding,
            activated=self.activated,
        )
        kernels().expand_rows(
            ctypes.byref(expansion),
            y.at(),
            y.rows,
            y.row_stride,
            out.at(),
            out.row_stride,
            y.steps,
            threads,
        )
        pool.give(y)
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


class TimeDecoder:
    """`TimeDecoderLayer` without norms: (steps, width) -> (samples, outer)."""

    def __init__(self, weights: Weights, stride: int, outermost: bool) -> None:
        gate = weights.stored("gate.conv.weight")  # (2 width, width, 1 or 3)
        self._reach = gate.shape[2] // 2
        self._gate = Product(gate.transpose(2, 1, 0), weights["gate.conv.bias"], GATED)
        self._conv = TransposedHops(
            weights.stored("conv.weight"),
            weights["conv.bias"],
            stride,
            PLAIN if outermost else GELU,
        )

    def __call__(self, x: Sheet, skip: Sheet, samples: int, pool: Pool, threads: int) -> Sheet:
        """Decode one level; gives `x` and `skip` back to the pool."""
        kernels().add(x.at(), skip.at(), x.steps * x.width, threads)
        self._gate([x.at(0, -self._reach)], x.width, x.steps, skip.at(), skip.width, threads)
        out = self._conv(skip, samples, pool, threads)
        pool.give(x, skip)
        return out
