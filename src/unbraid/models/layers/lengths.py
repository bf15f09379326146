"""Cutting and padding along the last axis."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from unbraid.shapes import Float


def crop_centre(x: Float[Tensor, "*b t"], length: int) -> Float[Tensor, "*b t2"]:
    """The middle `length` steps; of an odd surplus the larger half is cut on the right.

    >>> import torch
    >>> crop_centre(torch.arange(6.0), 3)
    tensor([1., 2., 3.])
    """
    left = (x.shape[-1] - length) // 2
    return x[..., left : left + length]


def pad_centre(x: Float[Tensor, "*b t"], length: int) -> Float[Tensor, "*b t2"]:
    """`x` between zeros, `length` steps in all; inverse of `crop_centre`."""
    missing = length - x.shape[-1]
    return F.pad(x, (missing // 2, missing - missing // 2))


def pad_end(x: Float[Tensor, "*b t"], length: int) -> Float[Tensor, "*b t2"]:
    """`x` and then zeros, `length` steps in all."""
    return F.pad(x, (0, length - x.shape[-1]))


def next_multiple(length: int, unit: int) -> int:
    """The smallest multiple of `unit` that is `length` or more.

    >>> next_multiple(5, 4), next_multiple(8, 4)
    (8, 8)
    """
    return -(-length // unit) * unit
