"""Batch norms whose state is floating-point numbers alone.

torch's own also count the batches they have seen, as a whole number that only a momentum of None
reads. Without it a network's state is weights and running statistics, which all file formats hold.
"""

from __future__ import annotations

from typing import Any

from torch import nn


class _Uncounted(nn.modules.batchnorm._BatchNorm):
    def __init__(
        self, width: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True
    ) -> None:
        super().__init__(width, eps=eps, momentum=momentum, affine=affine)
        self.num_batches_tracked = None

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: dict[str, Any], *rest: Any
    ) -> None:
        # As of version 2, torch expects no count to be put in for old files.
        super()._load_from_state_dict(state_dict, prefix, {**local_metadata, "version": 2}, *rest)


class BatchNorm1d(_Uncounted, nn.BatchNorm1d):
    """`nn.BatchNorm1d` without its count of batches."""


class BatchNorm2d(_Uncounted, nn.BatchNorm2d):
    """`nn.BatchNorm2d` without its count of batches."""
