"""Layers of the spectral branch on rows (freq, frames, width), in blocks of rows.

Without a norm over all rows, a block goes through a whole layer before the next one begins. Where
there is such a norm, the layer stops for its statistics, and each part runs over all rows.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unbraid.models.branches import Gate, SpecDecoderLayer, SpecEncoderLayer
from unbraid.models.layers.embedding import FrequencyEmbedding
from unbraid.runtimes.inference.branches import QuickBranches
from unbraid.runtimes.inference.layout import (
    as_image,
    as_rows,
    blocks,
    filters,
    group_norm,
    rows_between,
)
from unbraid.runtimes.inference.winograd import TILE, WinogradRows


class QuickGate:
    """Convolution to twice the width, norm, GLU; `reach` rows and steps on either side."""

    def __init__(self, gate: Gate) -> None:
        conv = gate.conv
        assert isinstance(conv, nn.Conv2d) and conv.bias is not None
        self.reach = int(conv.padding[0])
        self.norm = gate.norm if isinstance(gate.norm, nn.GroupNorm) else None
        self._bias = conv.bias.detach()
        self._weight = filters(conv.weight)
        self._matrix = conv.weight.detach()[:, :, 0, 0].T
        self._winograd = None
        if tuple(conv.kernel_size) == (3, 3):
            self._winograd = WinogradRows(conv.weight, self._bias)

    def expand(self, x: Float[Tensor, "f n c"], start: int, stop: int) -> Float[Tensor, "f2 n c2"]:
        """Rows [start, stop) of the convolution."""
        if self._weight.shape[2:] == (1, 1):
            flat = x[start:stop].reshape(-1, x.shape[2])
            return torch.addmm(self._bias, flat, self._matrix).view(stop - start, x.shape[1], -1)
        if self._winograd is not None and (stop - start) % TILE == 0:
            return self._winograd(x, start, stop)
        seen = rows_between(x, start - self.reach, stop + self.reach)
        return as_rows(F.conv2d(as_image(seen), self._weight, self._bias, padding=(0, self.reach)))

    def __call__(self, x: Float[Tensor, "f n c"], start: int, stop: int) -> Float[Tensor, "f2 n c"]:
        """Rows [start, stop) of what comes out; with a norm these are all rows."""
        both = self.expand(x, start, stop)
        if self.norm is not None:
            both = group_norm(self.norm, both)
        return F.glu(both, dim=-1)


class QuickSpecEncoder:
    """`SpecEncoderLayer` on rows: (freq, frames, outer) -> (freq / stride, frames, width)."""

    def __init__(self, layer: SpecEncoderLayer) -> None:
        conv = layer.conv
        assert isinstance(conv, nn.Conv2d) and conv.bias is not None
        self.kernel, self.stride, self.padding = (
            conv.kernel_size[0],
            conv.stride[0],
            int(conv.padding[0]),
        )
        self._weight, self._bias = filters(conv.weight), conv.bias.detach()
        self._norm = layer.norm if isinstance(layer.norm, nn.GroupNorm) else None
        self._branches = QuickBranches(layer.residual) if layer.residual is not None else None
        self._gate = QuickGate(layer.gate) if isinstance(layer.gate, Gate) else None
        self._embedding: Tensor | None = None
        if isinstance(layer.embedding, FrequencyEmbedding):
            table = layer.embedding
            self._embedding = table.embedding.weight.detach() * (table.weight * table.scale)

    def __call__(self, x: Float[Tensor, "f n c"]) -> Float[Tensor, "f2 n c2"]:
        """Encode one level."""
        rows = (len(x) + 2 * self.padding - self.kernel) // self.stride + 1
        frames, width = x.shape[1], len(self._bias)
        out = x.new_empty(rows, frames, width)
        spans = list(blocks(rows, 4 * frames * width))
        gate = self._gate
        if self._norm is None and (gate is None or (gate.reach == 0 and gate.norm is None)):
            for start, stop in spans:
                y = self._refined(torch.ops.aten.gelu_(self._convolved(x, start, stop)))
                out[start:stop] = y if gate is None else gate(y, 0, len(y))
        else:
            for start, stop in spans:
                out[start:stop] = self._convolved(x, start, stop)
            if self._norm is not None:
                out = group_norm(self._norm, out)
            for start, stop in spans:
                self._refined(torch.ops.aten.gelu_(out[start:stop]))
            out = self._gated(out, spans)
        if self._embedding is not None:
            out += self._embedding[:rows, None]
        return out

    def _convolved(self, x: Tensor, start: int, stop: int) -> Tensor:
        first = self.stride * start - self.padding
        last = self.stride * (stop - 1) - self.padding + self.kernel
        seen = as_image(rows_between(x, first, last))
        return as_rows(F.conv2d(seen, self._weight, self._bias, stride=(self.stride, 1)))

    def _refined(self, y: Tensor) -> Tensor:
        if self._branches is not None:
            self._branches.add_to_rows(y)
        return y

    def _gated(self, y: Tensor, spans: list[tuple[int, int]]) -> Tensor:
        if self._gate is None:
            return y
        return gate_all(self._gate, y, spans)


def gate_all(gate: QuickGate, x: Tensor, spans: list[tuple[int, int]]) -> Tensor:
    """All rows through a gate, block by block where its norm allows."""
    if gate.norm is not None:
        return gate(x, 0, len(x))
    out = torch.empty_like(x)
    for start, stop in spans:
        out[start:stop] = gate(x, start, stop)
    return out


class QuickSpecDecoder:
    """`SpecDecoderLayer` on rows: (freq, frames, width) -> (stride * freq, frames, outer).

    A transposed convolution of `kernel` over `stride` rows makes `kernel - stride` rows together
    with the input row after it; they wait for it as `carry`.
    """

    def __init__(self, layer: SpecDecoderLayer) -> None:
        conv = layer.conv
        assert isinstance(conv, nn.ConvTranspose2d) and conv.bias is not None
        self.kernel, self.stride, self.padding = conv.kernel_size[0], conv.stride[0], layer.padding
        self._weight = filters(conv.weight)
        self._bias = conv.bias.detach()
        self._norm = layer.norm if isinstance(layer.norm, nn.GroupNorm) else None
        self._activated = isinstance(layer.activation, nn.GELU)
        self._branches = QuickBranches(layer.residual) if layer.residual is not None else None
        self._gate = QuickGate(layer.gate) if isinstance(layer.gate, Gate) else None

    def __call__(
        self, x: Float[Tensor, "f n c"], skip: Float[Tensor, "f n c"]
    ) -> Float[Tensor, "f2 n c2"]:
        """Decode one level; `x` is written to."""
        out = x.new_empty(self.stride * len(x), x.shape[1], len(self._bias))
        if self._norm is None:
            for start, stop, rows in self.pieces(x, skip):
                out[start:stop] = rows
            return out
        whole = x.new_empty(self.stride * (len(x) - 1) + self.kernel, x.shape[1], len(self._bias))
        for start, stop, rows in self._expanded(x, skip):
            whole[start:stop] = rows
        z = group_norm(self._norm, whole)[self.padding : len(whole) - self.padding]
        return torch.ops.aten.gelu_(z) if self._activated else z

    def pieces(self, x: Tensor, skip: Tensor):  # type: ignore[no-untyped-def]
        """Output rows as (start, stop, rows), in order; only without a norm."""
        total = self.stride * len(x)
        for start, stop, rows in self._expanded(x, skip):
            first, last = max(start - self.padding, 0), min(stop - self.padding, total)
            kept = rows[first - (start - self.padding) :][: last - first]
            yield first, last, torch.ops.aten.gelu_(kept) if self._activated else kept

    def _expanded(self, x: Tensor, skip: Tensor):  # type: ignore[no-untyped-def]
        """Rows of the transposed convolution, nothing cut off, bias added."""
        x += skip
        frames, width = x.shape[1:]
        spans = list(blocks(len(x), 4 * frames * width, at_least=2 * TILE))
        gate, shared = self._gate, self.kernel - self.stride
        merged = None
        if gate is not None and gate.norm is not None:
            merged = gate(x, 0, len(x))
        carry = None
        for start, stop in spans:
            y = (
                x[start:stop]
                if gate is None
                else merged[start:stop]
                if merged is not None
                else (gate(x, start, stop))
            )
            if self._branches is not None:
                self._branches.add_to_rows(y)
            z = as_rows(
                F.conv_transpose2d(as_image(y), self._weight, None, stride=(self.stride, 1))
            )
            if carry is not None:
                z[:shared] += carry
            done = len(z) if stop == len(x) else len(z) - shared
            carry = z[done:].clone()
            z = z[:done]
            z += self._bias
            yield self.stride * start, self.stride * start + done, z
