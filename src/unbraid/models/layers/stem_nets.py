"""One network for each stem, all reading the same input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar, cast

import torch
from torch import Tensor, nn

Net = TypeVar("Net", bound=nn.Module)


class StemNets(nn.ModuleList, Generic[Net]):
    """A network for each stem; their outputs are stacked as a new axis after the batch.

    No network sees another's output, so a loss that adds up over stems trains each of them exactly
    as if it were trained alone, with the same batches: one run for all stems.

    Args:
        make: makes the network of the stem with this index.
        count: number of stems.
    """

    def __init__(self, make: Callable[[int], Net], count: int) -> None:
        super().__init__(make(index) for index in range(count))

    def __iter__(self) -> Iterator[Net]:
        return cast("Iterator[Net]", super().__iter__())

    def forward(self, x: Tensor) -> Tensor:
        """(batch, ...) -> (batch, stems, ...)."""
        return torch.stack([net(x) for net in self], dim=1)
