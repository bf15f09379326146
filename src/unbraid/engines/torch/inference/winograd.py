"""A convolution of three rows by Winograd's F(4, 3): six products for four rows, not twelve.

Six input rows are mixed into six others by B, each of these goes through a convolution over time
with a weight of its own, mixed from the three rows of the kernel by G, and A mixes the results into
four output rows. Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks",
arXiv:1509.09308. Rows lie in memory one after the other here, so that mixing is a small matrix
product over long rows; the steps of time are left to an ordinary convolution.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unbraid.engines.torch.inference.layout import as_image, as_rows, filters, rows_between
from unbraid.engines.winograd import MIXING

TILE = 4
"""Output rows of one tile; it sees one more on either side."""

_B = torch.tensor(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    dtype=torch.float32,
)
_A = torch.tensor(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
    dtype=torch.float32,
)
_EVERYWHERE = 1  # the product that A adds to all four rows alike: the bias goes in there


class WinogradRows:
    """`conv2d(x, weight, bias, padding=1)` on rows, for a 3x3 kernel.

    Args:
        weight: (out, in, 3, 3).
        bias: (out,).
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        mixed = torch.einsum(
            "ik,ockt->ioct", torch.from_numpy(MIXING), weight.detach().double()
        ).float()
        self._weights = [filters(part[:, :, None]) for part in mixed]
        self._bias = bias.detach()

    def __call__(
        self, x: Float[Tensor, "f n c"], start: int, stop: int
    ) -> Float[Tensor, "f2 n c2"]:
        """Output rows [start, stop), a whole number of tiles."""
        frames, width = x.shape[1:]
        tiles = (stop - start) // TILE
        mixed = x.new_empty(6, tiles, frames * width)
        for tile in range(tiles):
            first = start + TILE * tile
            seen = rows_between(x, first - 1, first + TILE + 1)
            torch.mm(_B, seen.reshape(6, -1), out=mixed[:, tile])
        outs = self._weights[0].shape[0]
        products = x.new_empty(6, tiles, frames, outs)
        for index, weight in enumerate(self._weights):
            image = as_image(mixed[index].view(tiles, frames, width))
            bias = self._bias if index == _EVERYWHERE else None
            products[index] = as_rows(F.conv2d(image, weight, bias, padding=(0, 1)))
        rows = x.new_empty(tiles, TILE, frames * outs)
        for tile in range(tiles):
            torch.mm(_A, products[:, tile].view(6, -1), out=rows[tile])
        return rows.view(tiles * TILE, frames, outs)
