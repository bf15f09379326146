"""Watches the largest singular values of large weights, which blow up before a run diverges."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from unbraid.training.config import SvdRecipe
from unbraid.training.svd import largest_singular_values

_GROWTH, _LEAST = 10.0, 20.0
_SHOWN = 8


def watch(
    model: nn.Module, recipe: SvdRecipe, start: dict[str, float]
) -> tuple[dict[str, float], list[str]]:
    """The largest singular values, with warnings.

    Args:
        start: their first values; filled in place the first time.
    Returns:
        the greatest few, by name, and one line for each that has grown tenfold and above 20.
    """
    now = largest_singular_values(model, replace(recipe, convolutions_only=False))
    for name, value in now.items():
        start.setdefault(name, value)
    warnings = [
        f"the largest singular value of {name} has grown from {start[name]:.3g} to {value:.3g}; "
        + ("raise" if recipe.weight else "set")
        + " svd.weight, or lower optimizer.lr"
        for name, value in now.items()
        if value > _GROWTH * start[name] and value > _LEAST
    ]
    greatest = sorted(now, key=lambda name: -now[name])[:_SHOWN]
    return {name: now[name] for name in greatest}, warnings
