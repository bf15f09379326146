"""Make a Hybrid Demucs wider without changing what it computes.

Every feature is doubled, and what reads it takes the two by unequal shares that sum to one: the
wider model gives the same estimates and still has all its features free to part ways.
Source: Chen, Goodfellow, Shlens, "Net2Net", ICLR 2016, arXiv:1511.05641.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from unbraid.models.hybrid_demucs import HybridDemucs

SPREAD = 0.4  # shares of the twins: 0.5 +- up to this
TRANSPOSED = ("decoder", "parting")  # parts with transposed convolutions, whose inputs come first


def widen(model: HybridDemucs, seed: int = 0) -> HybridDemucs:
    """A model of twice the width with the same estimates."""
    rng = torch.Generator().manual_seed(seed)
    wide = HybridDemucs(dataclasses.replace(model.config, width=2 * model.config.width))
    narrow = model.state_dict()
    grown = {
        name: _grow(name, narrow[name], target, rng) for name, target in wide.state_dict().items()
    }
    wide.load_state_dict(grown)
    return wide


def _grow(name: str, weight: Tensor, target: Tensor, rng: torch.Generator) -> Tensor:
    if weight.ndim > 1 and "embedding" not in name:
        inputs = 0 if _is_transposed(name) else 1
    else:
        inputs = -1  # a bias, a norm, a scale, an embedding: nothing is summed over
    for axis, (before, after) in enumerate(zip(weight.shape, target.shape, strict=True)):
        if before == after:
            continue
        assert after == 2 * before, name
        if axis == inputs:
            share = 0.5 + SPREAD * (2 * torch.rand(weight.shape, generator=rng) - 1)
            pairs = torch.stack([weight * share, weight * (1 - share)], axis + 1)
            weight = pairs.flatten(axis, axis + 1)
        else:
            weight = weight.repeat_interleave(2, axis)
    if ".query." in name:  # twice the products, divided by the root of twice the width
        weight = weight / math.sqrt(2)
    return weight


def _is_transposed(name: str) -> bool:
    part, conv = name.split(".")[0], name.split(".")[-2]
    named = any(word in part for word in TRANSPOSED)
    return named and conv in ("conv", "time_conv") and ".gate." not in name
