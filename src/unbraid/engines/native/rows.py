"""Levels of the spectral branch: (freq, frames, width), a row for each frequency."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

from unbraid.engines.native.library import Branch as BranchStruct
from unbraid.engines.native.library import Expansion, SpectralEncoder, Winograd, kernels, pointer
from unbraid.engines.native.norms import GroupNorm
from unbraid.engines.native.packing import (
    PAIR_DEPTH,
    PAIRS,
    MixedWeights,
    gate_panels,
    pack,
    pack_bias,
    pack_pair,
)
from unbraid.engines.native.sheets import MARGIN, Pool, Sheet
from unbraid.engines.native.weights import PackedBranch, Weights, numbered_branches


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
        self._branches = numbered_branches(weights, dilated, PackedBranch)
        self._structs = (BranchStruct * len(self._branches))(*(b.struct for b in self._branches))
        gate = weights.stored("gate.conv.weight")[:, :, 0, 0]
        self._norms = None
        if weights.has("norm"):
            names = ("norm", "gate.norm")
            self._norms = tuple(GroupNorm(weights.under(name), groups) for name in names)
        turns = PAIRS if self._norms is None else 1
        taps = conv.transpose(2, 1, 0)
        in_pairs = kernel == 2 * stride and stride * outer >= PAIR_DEPTH
        if in_pairs:
            taps = taps.reshape(2, stride * outer, self.width)
        self._held = {
            "conv": pack_pair(taps) if in_pairs else pack(taps),
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
            in_pairs=in_pairs,
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
    """`SpecDecoderLayer`: (freq, frames, width) -> (stride * freq, frames, outer), added to what is
    there already, which is the next layer's skip."""

    def __init__(
        self, weights: Weights, stride: int, groups: int, outermost: bool, dilated: bool = True
    ) -> None:
        branches = numbered_branches(weights, dilated, PackedBranch)
        self._gate = SpecGate(weights.under("gate"), groups, branches)
        # (kernel, width, outer): the row above, then the row itself, for each row that comes out
        taps = weights["conv.weight"][..., 0].transpose(2, 0, 1)
        self._taps = taps.reshape(2, stride, *taps.shape[1:])[::-1].swapaxes(0, 1)
        self._bias = weights["conv.bias"]
        self._norm = GroupNorm(weights.under("norm"), groups) if weights.has("norm") else None
        self.stride, self.width, self.outer = stride, taps.shape[1], taps.shape[2]
        self._padding, self._outermost = len(taps) // 4, outermost
        self._expansion = None if outermost else self._pack(1.0, 0.0)

    def _pack(self, gain: float, offset: float) -> tuple[np.ndarray, np.ndarray]:
        bias = self._bias * np.float32(gain) + np.float32(offset)
        packed = np.stack([pack_pair(part * np.float32(gain)) for part in self._taps])
        return packed, pack_bias(bias)

    def __call__(self, x: Sheet, out: Sheet, pool: Pool, threads: int) -> Sheet:
        """Decode one level that is not the outermost into `out`; gives `x` back to the pool."""
        assert self._expansion is not None
        y = self._gated(x, pool, threads)
        if self._norm is None:
            self._expand(y, self._expansion, self._padding, out, threads)
            pool.give(y)
            return out
        whole = pool.sheet((y.rows + 1) * self.stride, y.steps, self.outer)
        self._expand(y, self._expansion, 0, whole, threads)
        pool.give(y)
        self._norm.gelu(whole, threads)  # which counts what is then cut off
        out.add(whole.without_rows(self._padding), threads)
        pool.give(whole)
        return out

    def signal(self, x: Sheet, affine: tuple[float, float], pool: Pool, threads: int) -> Sheet:
        """Decode the outermost level, times a gain and plus an offset; gives `x` back."""
        y = self._gated(x, pool, threads)
        out = pool.sheet((y.rows + 1) * self.stride - 2 * self._padding, y.steps, self.outer)
        self._expand(y, self._pack(*affine), self._padding, out, threads)
        pool.give(y)
        return out

    def _gated(self, x: Sheet, pool: Pool, threads: int) -> Sheet:
        y = pool.sheet(x.rows, x.steps, x.width, lasting=self._outermost)
        self._gate(x, y, pool, threads)
        pool.give(x)
        return y

    def _expand(
        self,
        y: Sheet,
        weights: tuple[np.ndarray, np.ndarray],
        padding: int,
        out: Sheet,
        threads: int,
    ) -> None:
        packed, bias = weights
        of = Expansion(
            packed=pointer(packed),
            bias=pointer(bias),
            width=self.width,
            outer=self.outer,
            stride=self.stride,
            padding=padding,
            adding=not self._outermost and self._norm is None,
        )
        sheets = (y.at(), y.rows, y.row_stride, out.at(), out.row_stride, y.steps)
        kernels().expand_rows(ctypes.byref(of), *sheets, threads)


class SpecGate:
    """The gated 3x3 convolution of a decoder and the residual branches behind it: (freq, frames,
    width) -> the same shape."""

    def __init__(
        self, weights: Weights, groups: int, branches: Sequence[PackedBranch] = ()
    ) -> None:
        kernel = weights.stored("conv.weight")  # (2 width, width, 3, 3)
        self.width = kernel.shape[1]
        self._weights = MixedWeights.of_maps(kernel)
        self._bias = pack_bias(weights["conv.bias"], PAIRS)
        self._norm = GroupNorm(weights.under("norm"), groups) if weights.has("norm") else None
        self._struct = Winograd(
            **self._weights.fields(),
            bias=pointer(self._bias),
            ins=self.width,
            width=self.width,
            gate_panels=gate_panels(self.width),
            gated=self._norm is None,
        )
        self._branches = branches  # which hold what their structures point to
        self._structs = (BranchStruct * len(branches))(*(b.struct for b in branches))

    def __call__(self, x: Sheet, out: Sheet, pool: Pool, threads: int) -> None:
        """Gate x, and refine that."""
        branches = ctypes.addressof(self._structs), len(self._branches)
        first = branches if self._norm is None else (None, 0)
        to = out if self._norm is None else pool.sheet(x.rows, x.steps, 2 * self.width)
        sheets = (x.at(), x.row_stride, to.at(), to.row_stride)
        kernels().refine_maps(ctypes.byref(self._struct), *first, *sheets, x.rows, x.steps, threads)
        if self._norm is not None:
            self._norm.glu(to, out, threads)
            pool.give(to)
            kernels().branch_rows(*branches, out.at(), x.rows, out.row_stride, x.steps, threads)
