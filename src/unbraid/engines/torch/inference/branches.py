"""Residual branches with the second norm, the layer scale and the gate folded into one product.

The norm after the expanding 1x1 convolution needs mean and variance of 2 * width features, which
are a linear image of few hidden ones, y = W h + b. Both follow from the mean of h and from its
covariance (hidden x hidden), so y is never normalized: W and b are, row by row.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unbraid.engines.torch.inference.layout import as_image, as_rows, blocks, filters
from unbraid.models.layers.residual import ResidualBranch, ResidualBranches


class QuickBranches:
    """`ResidualBranches` without LSTM and attention, in place on rows or on steps."""

    def __init__(self, branches: ResidualBranches) -> None:
        self._branches = [_QuickBranch(branch) for branch in branches.branches]  # type: ignore[arg-type]

    def add_to_rows(self, x: Float[Tensor, "f n c"]) -> None:
        """x <- x + branch(x), every row an item of its own."""
        for branch in self._branches:
            branch.add_to_rows(x)

    def add_to_steps(self, x: Float[Tensor, "n c"]) -> None:
        """x <- x + branch(x), one item of many steps."""
        for branch in self._branches:
            branch.add_to_steps(x)


class _QuickBranch:
    def __init__(self, branch: ResidualBranch) -> None:
        self.dilation = branch.squeeze.dilation[0]
        weight = branch.squeeze.weight.detach()  # (hidden, width, 3)
        self.squeeze = filters(weight[:, :, None])
        self.taps = weight.permute(2, 1, 0).contiguous()  # (3, width, hidden)
        self.squeeze_bias = _of(branch.squeeze.bias)
        self.norm = branch.squeeze_norm
        self.expand = branch.expand.weight.detach()[:, :, 0].T.double()  # (hidden, 2 width)
        self.expand_bias = _of(branch.expand.bias).double()
        norm = branch.expand_norm
        self.eps = norm.eps
        self.gain, self.offset = _of(norm.weight).double(), _of(norm.bias).double()
        # The scale stands behind the gate: it is one factor of the half that is gated.
        scale = branch.scale.scale.detach().double()
        self.gain = self.gain * torch.cat([scale, torch.ones_like(scale)])
        self.offset = self.offset * torch.cat([scale, torch.ones_like(scale)])
        self.covering = self.expand @ self.expand.T  # sum over features of W W^T

    def add_to_rows(self, x: Tensor) -> None:
        reach = self.dilation
        h = as_rows(
            F.conv2d(
                as_image(x),
                self.squeeze,
                self.squeeze_bias,
                padding=(0, reach),
                dilation=(1, reach),
            )
        )
        h = self._activate(h)
        sums = h.sum(1).double()
        products = torch.bmm(h.transpose(1, 2), h).double()
        weight, bias = self._fold(sums, products, h.shape[1])
        self._add(x, h, weight, bias)

    def add_to_steps(self, x: Tensor) -> None:
        steps, reach = len(x), min(self.dilation, len(x))
        h = torch.addmm(self.squeeze_bias, x, self.taps[1])
        h[reach:].addmm_(x[: steps - reach], self.taps[0])
        h[: steps - reach].addmm_(x[reach:], self.taps[2])
        h = self._activate(h[None])[0]
        spans = list(blocks(steps, 4 * x.shape[1]))
        sums = torch.zeros(h.shape[1], dtype=torch.double)
        products = torch.zeros(h.shape[1], h.shape[1], dtype=torch.double)
        for start, stop in spans:
            part = h[start:stop]
            sums += part.sum(0)
            products += part.T @ part
        weight, bias = self._fold(sums[None], products[None], steps)
        for start, stop in spans:
            self._add(x[None, start:stop], h[None, start:stop], weight, bias)

    def _activate(self, h: Float[Tensor, "r n h"]) -> Float[Tensor, "r n h"]:
        """Norm over each row, GELU."""
        # As a layer norm: torch's channels-last group norm loses up to 40 dB to cancellation.
        flat = F.layer_norm(h.flatten(1), (h[0].numel(),), eps=self.norm.eps).view(h.shape)
        return torch.ops.aten.gelu_(torch.addcmul(self.norm.bias, flat, self.norm.weight))  # type: ignore[no-any-return]

    def _fold(
        self, sums: Float[Tensor, "r h"], products: Float[Tensor, "r h h"], steps: int
    ) -> tuple[Float[Tensor, "r h two_c"], Float[Tensor, "r 1 two_c"]]:
        """Weight and bias that expand, norm and scale at once, for each row."""
        mean = sums / steps
        covariance = products / steps - mean[:, :, None] * mean[:, None, :]
        centre = mean @ self.expand + self.expand_bias  # mean over time of every feature
        overall = centre.mean(1, keepdim=True)
        within = (covariance * self.covering).sum((1, 2)) / self.expand.shape[1]
        between = (centre - overall).square().mean(1)
        rate = (within.clamp_min(0) + between + self.eps).rsqrt()[:, None] * self.gain
        weight = self.expand * rate[:, None]
        bias = (self.expand_bias - overall) * rate + self.offset
        return weight.float(), bias.float()[:, None]

    def _add(self, x: Tensor, h: Tensor, weight: Tensor, bias: Tensor) -> None:
        width = x.shape[-1]
        value = torch.baddbmm(bias[..., :width], h, weight[..., :width])
        gate = torch.baddbmm(bias[..., width:], h, weight[..., width:])
        x.addcmul_(value, gate.sigmoid_())


def _of(parameter: Tensor | None) -> Tensor:
    assert parameter is not None
    return parameter.detach()
