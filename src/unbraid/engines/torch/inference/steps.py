"""Layers of the time branch on steps (steps, width): strided convolutions as matrix products.

With the width last, `stride` steps side by side are one row of a matrix, and a kernel of twice the
stride is the product of two neighbouring rows with the two halves of the weight. The transposed
convolution is the same backwards. Nothing is unfolded or interleaved.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unbraid.engines.torch.inference.branches import QuickBranches
from unbraid.engines.torch.inference.layout import blocks, group_norm
from unbraid.models.spectral.layers import Gate, TimeDecoderLayer, TimeEncoderLayer


class StepGate:
    """Convolution to twice the width, norm, GLU on steps."""

    def __init__(self, gate: Gate) -> None:
        conv = gate.conv
        assert isinstance(conv, nn.Conv1d) and conv.bias is not None
        self.reach = int(conv.padding[0])
        self.norm = gate.norm if isinstance(gate.norm, nn.GroupNorm) else None
        self._taps = conv.weight.detach().permute(2, 1, 0).contiguous()
        self._bias = conv.bias.detach()

    def expand(self, x: Float[Tensor, "n c"], start: int, stop: int) -> Float[Tensor, "n2 c2"]:
        """Steps [start, stop) of the convolution; beyond the ends of `x` there is silence."""
        y = torch.addmm(self._bias, x[start:stop], self._taps[self.reach])
        for tap, weight in enumerate(self._taps):
            shift = tap - self.reach
            first, last = max(start, -shift), min(stop, len(x) - shift)
            if shift and first < last:
                y[first - start : last - start].addmm_(x[first + shift : last + shift], weight)
        return y

    def into(self, x: Float[Tensor, "n c"], out: Float[Tensor, "n c"]) -> None:
        """All steps through the gate; `out` may be `x` if there is no reach."""
        if self.norm is None:
            for start, stop in blocks(len(x), 8 * x.shape[1]):
                torch.ops.aten.glu.out(self.expand(x, start, stop), -1, out=out[start:stop])
            return
        both = normed_steps(self.norm, self.expand(x, 0, len(x)))
        torch.ops.aten.glu.out(both, -1, out=out)


def normed_steps(norm: nn.GroupNorm, x: Float[Tensor, "n c"]) -> Float[Tensor, "n c"]:
    """GroupNorm over all steps, written to `x`."""
    group_norm(norm, x.view(1, *x.shape))
    return x


class HopConvolution:
    """Strided convolution, its kernel two strides: (steps, in) -> (ceil(steps / stride), out).

    As `TimeEncoderLayer` pads it.
    """

    def __init__(self, conv: nn.Module) -> None:
        assert isinstance(conv, nn.Conv1d) and conv.bias is not None
        self._stride, self._padding = conv.stride[0], int(conv.padding[0])
        # (out, in, kernel) -> two halves (stride * in, out)
        taps = conv.weight.detach().permute(2, 1, 0)
        self._halves = taps.reshape(2, -1, taps.shape[2]).contiguous()
        self._bias = conv.bias.detach()

    def __call__(self, x: Float[Tensor, "t c"]) -> Float[Tensor, "t2 c2"]:
        """Convolve all steps."""
        stride, width = self._stride, x.shape[1]
        steps = -(-len(x) // stride)
        hops = F.pad(x, (0, 0, self._padding, stride * (steps + 1) - self._padding - len(x)))
        hops = hops.view(steps + 1, stride * width)
        y = x.new_empty(steps, len(self._bias))
        for start, stop in blocks(steps, 4 * len(self._bias)):
            part = y[start:stop]
            torch.addmm(self._bias, hops[start:stop], self._halves[0], out=part)
            part.addmm_(hops[start + 1 : stop + 1], self._halves[1])
        return y


class QuickTimeEncoder:
    """`TimeEncoderLayer` on steps: (steps, outer) -> (ceil(steps / stride), width)."""

    def __init__(self, layer: TimeEncoderLayer) -> None:
        self._convolve = HopConvolution(layer.conv)
        self._norm = layer.norm if isinstance(layer.norm, nn.GroupNorm) else None
        self._branches = QuickBranches(layer.residual) if layer.residual is not None else None
        self._gate = StepGate(layer.gate) if isinstance(layer.gate, Gate) else None

    def __call__(self, x: Float[Tensor, "t c"]) -> Float[Tensor, "t2 c2"]:
        """Encode one level."""
        y = self._convolve(x)
        if self._norm is not None:
            y = normed_steps(self._norm, y)
        torch.ops.aten.gelu_(y)
        if self._branches is not None:
            self._branches.add_to_steps(y)
        if self._gate is not None:
            if self._gate.reach == 0:
                self._gate.into(y, y)
            else:
                out = torch.empty_like(y)
                self._gate.into(y, out)
                return out
        return y


class QuickTimeDecoder:
    """`TimeDecoderLayer` on steps: (steps, width) -> (samples, outer)."""

    def __init__(self, layer: TimeDecoderLayer) -> None:
        conv = layer.conv
        assert isinstance(conv, nn.ConvTranspose1d) and conv.bias is not None
        self.stride, self.padding, self.outer = conv.stride[0], layer.padding, conv.out_channels
        # (in, out, kernel) -> two halves (in, stride * out)
        taps = conv.weight.detach().permute(2, 0, 1)
        halves = taps.reshape(2, self.stride, *taps.shape[1:]).permute(0, 2, 1, 3)
        self._halves = halves.reshape(2, taps.shape[1], -1).contiguous()
        self._bias = conv.bias.detach().repeat(self.stride)
        self._norm = layer.norm if isinstance(layer.norm, nn.GroupNorm) else None
        self._activated = isinstance(layer.activation, nn.GELU)
        self._branches = QuickBranches(layer.residual) if layer.residual is not None else None
        self._gate = StepGate(layer.gate) if isinstance(layer.gate, Gate) else None

    def __call__(
        self, x: Float[Tensor, "n c"], skip: Float[Tensor, "n c"], samples: int
    ) -> Float[Tensor, "t c2"]:
        """Decode one level; `x` and `skip` are written to."""
        x += skip
        y = x
        if self._gate is not None:
            y = skip
            self._gate.into(x, y)
        if self._branches is not None:
            self._branches.add_to_steps(y)
        z = self._expanded(y).view(-1, self.outer)
        if self._norm is not None:
            z = normed_steps(self._norm, z)
        z = z[self.padding : self.padding + samples]
        return torch.ops.aten.gelu_(z) if self._activated else z

    def _expanded(self, y: Tensor) -> Tensor:
        steps = len(y)
        z = y.new_empty(steps + 1, len(self._bias))
        for start, stop in blocks(steps, 4 * len(self._bias)):
            torch.addmm(self._bias, y[start:stop], self._halves[0], out=z[start:stop])
            first = max(start, 1)
            z[first:stop].addmm_(y[first - 1 : stop - 1], self._halves[1])
        torch.addmm(self._bias, y[-1:], self._halves[1], out=z[steps:])
        return z
