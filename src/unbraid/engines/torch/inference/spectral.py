"""Layers of the spectral branch on rows (freq, frames, width), in blocks of rows.

Without a norm over all rows, a block goes through a whole layer before the next one begins. Where
there is such a norm, the layer stops for its statistics, and each part runs over all rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unbraid.engines.torch.inference.branches import QuickBranches
from unbraid.engines.torch.inference.layout import (
    as_image,
    as_rows,
    blocks,
    filters,
    group_norm,
    rows_between,
)
from unbraid.engines.torch.inference.winograd import TILE, WinogradRows
from unbraid.models.layers.embedding import FrequencyEmbedding
from unbraid.models.spectral.layers import Gate, SpecDecoderLayer, SpecEncoderLayer


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

    The skip has been added already. A transposed convolution of `kernel` over `stride` rows makes
    `kernel - stride` rows together with the input row after it; they wait for it as a carry.
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

    def __call__(self, x: Float[Tensor, "f n c"]) -> Float[Tensor, "f2 n c2"]:
        """Decode one level."""
        out = x.new_empty(self.stride * len(x), x.shape[1], len(self._bias))
        for start, stop, rows in self.pieces(x):
            out[start:stop] = rows
        return out

    def pieces(
        self, x: Float[Tensor, "f n c"], gain: float = 1.0, offset: float = 0.0
    ) -> Iterator[tuple[int, int, Tensor]]:
        """Output rows as (start, stop, rows), in order; gain * rows + offset without activation."""
        weight, bias = self._weight * gain, self._bias * gain + offset
        total = self.stride * len(x)
        expanded = self._expanded(x, weight, bias)
        if self._norm is not None:
            assert (gain, offset) == (1, 0)
            expanded = self._normed(self._norm, expanded, total + self.kernel - self.stride)
        for start, rows in expanded:
            first, last = max(start - self.padding, 0), min(start + len(rows) - self.padding, total)
            kept = rows[first - (start - self.padding) :][: last - first]
            yield first, last, torch.ops.aten.gelu_(kept) if self._activated else kept

    @staticmethod
    def _normed(
        norm: nn.GroupNorm, expanded: Iterator[tuple[int, Tensor]], rows: int
    ) -> Iterator[tuple[int, Tensor]]:
        """All rows at once, since the norm is over all."""
        parts = [part for _, part in expanded]
        assert sum(map(len, parts)) == rows
        yield 0, group_norm(norm, torch.cat(parts))

    def _expanded(self, x: Tensor, weight: Tensor, bias: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Rows of the transposed convolution with where they start, nothing cut off."""
        shared = self.kernel - self.stride
        carry: Tensor | None = None
        for start, stop, y in self._gated(x):
            if self._branches is not None:
                self._branches.add_to_rows(y)
            z = as_rows(F.conv_transpose2d(as_image(y), weight, None, stride=(self.stride, 1)))
            if carry is not None:
                z[:shared] += carry
            done = len(z) if stop == len(x) else len(z) - shared
            carry = z[done:].clone()
            z = z[:done]
            z += bias
            yield self.stride * start, z

    def _gated(self, x: Tensor) -> Iterator[tuple[int, int, Tensor]]:
        """Blocks of rows behind the gate."""
        gate = self._gate
        whole = x if gate is None else gate(x, 0, len(x)) if gate.norm is not None else None
        for start, stop in blocks(len(x), 4 * x.shape[1] * x.shape[2], at_least=2 * TILE):
            if whole is not None:
                yield start, stop, whole[start:stop]
            elif gate is not None:
                yield start, stop, gate(x, start, stop)
