"""Blocks of TFC-TDF U-Nets: convolutions over time and frequency, and layers along frequency.

Shapes are (batch, features, frames, freq) throughout.
Source: Choi et al., "Investigating U-Nets with various Intermediate Blocks", ISMIR 2020,
arXiv:1912.02591.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from unbraid.models.layers.batch_norm import BatchNorm2d
from unbraid.shapes import Float

Maps = Float[Tensor, "b _ _ _"]
"""(batch, features, frames, freq), or with the last two swapped."""


def conv_norm_relu(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """Convolution that keeps the size, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2),
        BatchNorm2d(outputs),
        nn.ReLU(),
    )


class DenseTFC(nn.Module):
    """Time-frequency convolutions; each also reads what the one before it read."""

    def __init__(self, inputs: int, outputs: int, layers: int, kernel: int) -> None:
        super().__init__()
        widths = [inputs + index * outputs for index in range(layers)]
        self.layers = nn.ModuleList(conv_norm_relu(width, outputs, kernel) for width in widths)

    def forward(self, x: Maps) -> Maps:
        """Dense: concat [newest, earlier ones] from layer to layer."""
        y = self.layers[0](x)
        for layer in self.layers[1:]:
            x = torch.cat([y, x], dim=1)
            y = layer(x)
        return y  # type: ignore[no-any-return]


class PlainTFC(nn.Sequential):
    """Time-frequency convolutions, one after the other."""

    def __init__(self, inputs: int, outputs: int, layers: int, kernel: int) -> None:
        widths = [inputs, *[outputs] * layers]
        super().__init__(*(conv_norm_relu(*ends, kernel) for ends in pairwise(widths)))


class TDF(nn.Sequential):
    """Layers along frequency, the same for all frames and features, through a narrow middle.

    Args:
        freq, bottleneck: rows of the spectrogram and of the middle; a middle of 0 is left out.
        outputs: rows given; None for `freq`.
        bias, affine: whether linear layers have biases and norms have gains.
    """

    def __init__(
        self,
        width: int,
        freq: int,
        bottleneck: int,
        outputs: int | None = None,
        bias: bool = False,
        affine: bool = True,
    ) -> None:
        rows = [freq, *[bottleneck] * (bottleneck > 0), outputs or freq]
        steps = []
        for before, after in pairwise(rows):
            norm = BatchNorm2d(width, affine=affine)
            steps += [nn.Linear(before, after, bias), norm, nn.ReLU()]
        super().__init__(*steps)
