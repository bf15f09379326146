"""What training makes small, on waveforms of normalized loudness."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from unbraid.shapes import Estimates, Sources
from unbraid.training.config import LossRecipe


def stem_losses(estimates: Estimates, sources: Sources, kind: str = "l1") -> Float[Tensor, " s"]:
    """The loss of each stem, a mean over items, channels and samples.

    Args:
        estimates, sources: (batch, stems, channels, samples).
        kind: "l1" |ŝ - s|; "mse" (ŝ - s)²; "relative": root of the error's power over the
            mixture's. The last is no logarithm, on purpose: in dB a quiet stem weighs a thousand
            times more than a loud one (docs/training-log.md).
    Returns:
        (stems,), 0 or more.

    >>> ones = torch.ones(1, 2, 2, 10)
    >>> stem_losses(0 * ones, 3 * ones, "mse")
    tensor([9., 9.])
    """
    error = estimates - sources
    if kind == "l1":
        return error.abs().mean((0, 2, 3))
    if kind == "mse":
        return error.square().mean((0, 2, 3))
    power = error.square().mean((2, 3))
    mixture = sources.sum(1).square().mean((1, 2))[:, None]
    return (power / (mixture + 1e-6) + 1e-4).sqrt().mean(0)


def weighted_loss(losses: Float[Tensor, " s"], weights: Float[Tensor, " s"]) -> Float[Tensor, ""]:
    """Mean over stems: Σ w_j L_j / Σ w_j. Source: project specification 02, section 3."""
    return (losses * weights).sum() / weights.sum()


def stem_weights(recipe: LossRecipe, stems: Sequence[str]) -> Float[Tensor, " s"]:
    """The recipe's weight of each stem, 1 where it names none."""
    return torch.tensor([recipe.weights.get(stem, 1.0) for stem in stems])
