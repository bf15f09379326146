"""The singular-value penalty, which keeps the largest singular values of large weights small.

The innermost layers of a Demucs can blow up along one direction long before the loss shows it; the
penalty is the sum of σ²_max over all large weights. Source: arXiv:2111.03600,
section 3.3.

The directions u, v of a σ_max are found without gradients; what is differentiated is (uᵀ W v)². At
the largest singular value these directions are stationary, so this is its gradient, without a
backward pass through decompositions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unbraid.models.layers.recurrent import one_thread
from unbraid.shapes import Float
from unbraid.training.config import SvdRecipe
from unbraid.training.seeds import generator_of

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
Matrix = Float[Tensor, "rows columns"]


@dataclass(frozen=True)
class NamedMatrix:
    """A weight as the penalty sees it: name in the state dict, and (rows, columns)."""

    name: str
    matrix: Matrix


def large_weights(model: nn.Module, recipe: SvdRecipe) -> Iterator[NamedMatrix]:
    """All weights of two or more dimensions that are large enough, as matrices.

    Three and four dimensions become (first, all others); of transposed convolutions the first is
    the inputs, unless `swap_transposed` puts the outputs there.
    """
    for module_name, module in model.named_modules():
        for name, value in module.named_parameters(recurse=False):
            if value.numel() / 2**18 < recipe.min_size_mb or value.ndim < 2:
                continue
            if recipe.convolutions_only and value.ndim not in (3, 4):
                continue
            if value.ndim > 2 and recipe.swap_transposed and isinstance(module, _TRANSPOSED):
                value = value.transpose(0, 1)
            full_name = f"{module_name}.{name}" if module_name else name
            yield NamedMatrix(full_name, value.reshape(len(value), -1))


def penalty(model: nn.Module, recipe: SvdRecipe, step: int, seed: int = 1234) -> Tensor:
    """1 / probability · Σ σ²_max, or 0 in steps that a random draw skips.

    Depends on (seed, step) alone, so all processes of a run draw the same.

    Returns:
        a scalar; differentiable. `recipe.weight` is not in it.
    """
    device = next(model.parameters()).device
    coin = torch.rand((), generator=generator_of(seed, "svd coin", step))
    total = torch.zeros((), device=device)
    if coin >= recipe.probability:
        return total
    for number, weight in enumerate(large_weights(model, recipe)):
        generator = generator_of(seed, "svd", step, number)
        total = total + squared_norm(weight.matrix.float(), recipe, generator)
    return total / recipe.probability


def squared_norm(matrix: Matrix, recipe: SvdRecipe, generator: torch.Generator) -> Tensor:
    """An estimate of σ²_max by the recipe's method, at most σ²_max up to rounding."""
    if recipe.method == "power":
        return _by_power(matrix, recipe.rank, recipe.iterations, generator)
    with (
        torch.no_grad(),
        one_thread(matrix.device),
    ):  # several threads would mostly wait for each other
        if recipe.method == "exact":
            left, right = _exactly(matrix)
        else:
            left, right = _by_sketch(matrix, recipe.rank, recipe.iterations, generator)
    estimate: Tensor = (left @ matrix @ right).square()
    return estimate


def largest_singular_values(model: nn.Module, recipe: SvdRecipe) -> dict[str, float]:
    """σ_max of every large weight, exactly, by name."""
    found = {}
    with torch.no_grad():
        for weight in large_weights(model, recipe):
            matrix = weight.matrix.float()
            with one_thread(matrix.device):
                left, right = _exactly(matrix)
            found[weight.name] = float(left @ matrix @ right)
    return found


def _exactly(matrix: Matrix) -> tuple[Tensor, Tensor]:
    """Singular vectors of the largest singular value.

    From the smaller Gram matrix, which is much faster than a whole decomposition; its rounding
    does not matter for the largest value.
    """
    wide = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    right = torch.linalg.eigh(wide.double().T @ wide.double()).eigenvectors[:, -1].to(matrix)
    left = wide @ right
    left = left / left.norm().clamp_min(1e-30)
    return (left, right) if wide is matrix else (right, left)


def _by_sketch(
    matrix: Matrix, rank: int, iterations: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Singular vectors of the largest singular value, from a random subspace.

    The same steps as `torch.svd_lowrank`, which does not accept a generator: a
    sketch of `rank` columns, `iterations` times back and forth, each time made orthonormal.
    Source: Halko et al. 2009, arXiv:0909.4061, algorithm 4.4.
    """
    wide = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    rank = min(rank, *matrix.shape)
    start = torch.randn(wide.shape[1], rank, generator=generator).to(wide)
    basis = torch.linalg.qr(wide @ start).Q
    for _ in range(iterations):
        basis = torch.linalg.qr(wide.T @ basis).Q
        basis = torch.linalg.qr(wide @ basis).Q
    small, _, right = torch.linalg.svd(basis.T @ wide, full_matrices=False)
    left, right = basis @ small[:, 0], right[0]
    return (left, right) if wide is matrix else (right, left)


def _by_power(matrix: Matrix, starts: int, iterations: int, generator: torch.Generator) -> Tensor:
    """Power iteration on the smaller Gram matrix; mean over random starts of its growth."""
    wide = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    gram = wide.T @ wide
    with torch.no_grad():
        x = torch.randn(len(gram), starts, generator=generator).to(gram)
        for _ in range(iterations):
            x = x / x.norm(dim=0).clamp_min(1e-30)
            x = gram @ x
        x = x / x.norm(dim=0).clamp_min(1e-30)
    growth: Tensor = (gram @ x).norm(dim=0).mean()
    return growth
