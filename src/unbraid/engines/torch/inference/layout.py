"""How the inference form lays signals out: width last, so that a convolution is a matrix product.

    rows    (freq, frames, width)   the spectral branch, one frequency row after the other
    steps   (steps, width)          the time branch

Work goes in blocks of rows or steps, small enough that a block stays in the cache through all that
a layer does to it.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

BLOCK_BYTES = 2 << 20
"""Size of one activation block (measured on 0.5 MB L2 and 32 MB L3: 1 to 4 MB are alike)."""


def blocks(count: int, item_bytes: int, at_least: int = 1) -> Iterator[tuple[int, int]]:
    """Stretches [start, stop) of `count` items that take about `BLOCK_BYTES` each.

    >>> list(blocks(10, BLOCK_BYTES // 4))
    [(0, 4), (4, 8), (8, 10)]
    """
    size = max(at_least, BLOCK_BYTES // max(1, item_bytes))
    for start in range(0, count, size):
        yield start, min(start + size, count)


def as_image(rows: Float[Tensor, "f n c"]) -> Float[Tensor, "1 c f n"]:
    """The same memory as torch's convolutions name it: one channels-last image."""
    return rows.permute(2, 0, 1)[None]


def as_rows(image: Float[Tensor, "1 c f n"]) -> Float[Tensor, "f n c"]:
    """Inverse of `as_image`; copies only what is not channels-last."""
    return image[0].permute(1, 2, 0).contiguous()


def filters(weight: Tensor) -> Tensor:
    """A convolution's weight (out, in, rows, steps), laid out channels-last."""
    return weight.detach().contiguous(memory_format=torch.channels_last)


def rows_between(x: Float[Tensor, "f n c"], start: int, stop: int) -> Float[Tensor, "f2 n c"]:
    """Rows [start, stop) with silence beyond the ends; a view where none is needed."""
    inside = x[max(start, 0) : min(stop, len(x))]
    above, below = max(0, -start), max(0, stop - len(x))
    return F.pad(inside, (0, 0, 0, 0, above, below)) if above or below else inside


def group_norm(norm: nn.GroupNorm, x: Float[Tensor, "f n c"]) -> Float[Tensor, "f n c"]:
    """GroupNorm over all rows (or over one row of steps), written to `x`.

    The deviation is that of what is left without the mean: torch's channels-last kernel takes the
    difference of two large numbers in its place, which costs up to 40 dB.
    """
    count, groups = x.shape[0] * x.shape[1], norm.num_groups

    def over_group(values: Tensor) -> Tensor:
        means = values.sum(0, dtype=torch.double).view(groups, -1) / count
        return means.mean(1, keepdim=True).expand_as(means).flatten()

    x -= over_group(x.sum(1)).float()
    squares = torch.stack([row.square().sum(0) for row in x])
    rate = (over_group(squares) + norm.eps).rsqrt() * norm.weight
    return torch.addcmul(norm.bias, x, rate.float(), out=x)
