"""Losses on spectrograms and on sums of stems, with which the classic systems were trained.

A loss is a distance in a domain: waveforms, magnitudes, or complex spectrograms. It may be taken on
every sum of stems as well, and a loss on the angle between waveforms may be added: together they
are the "multi-domain" and "combination" losses of X-UMX.
"""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor

from unbraid.shapes import Estimates, Float, Sources
from unbraid.training.config import LossRecipe
from unbraid.training.losses import stem_losses

_EPSILON = 1e-10


def training_losses(
    estimates: Estimates, sources: Sources, recipe: LossRecipe
) -> Float[Tensor, " s"]:
    """The loss of each stem by the recipe's kind, sums of stems and angles included.

    Args:
        estimates, sources: (batch, stems, channels, samples).
    Returns:
        (stems,), 0 or more; the loss of a sum is shared evenly among its stems, so that the mean
        over stems is the mean over all sums.
    """
    if recipe.kind in ("magnitude", "spectrum"):
        wanted = spectra(sources, recipe)
        losses = distances(spectra(estimates, recipe), wanted, "mse", recipe.combine)
    else:
        losses = distances(estimates, sources, recipe.kind, recipe.combine)
    if recipe.angle:
        losses = losses + recipe.angle * angle_losses(estimates, sources, recipe.combine)
    return losses


def spectra(signals: Float[Tensor, "b s c t"], recipe: LossRecipe) -> Float[Tensor, "b s c m"]:
    """Magnitudes, or real and imaginary parts, of the centred STFT; axes after channels are one."""
    window = torch.hann_window(recipe.n_fft, device=signals.device)
    missing = recipe.n_fft // 2 + 1 - signals.shape[-1]
    signals = torch.nn.functional.pad(signals, (0, max(0, missing)))
    stft = torch.stft(
        signals.flatten(0, 2), recipe.n_fft, recipe.hop, window=window, return_complex=True
    )
    parts = torch.view_as_real(stft)
    if recipe.kind == "magnitude":  # smooth at 0, where a modulus has no gradient
        parts = (parts.square().sum(-1) + _EPSILON).sqrt()
    return parts.reshape(*signals.shape[:3], -1)


def distances(
    estimates: Float[Tensor, "b s c m"],
    sources: Float[Tensor, "b s c m"],
    kind: str,
    combine: bool,
) -> Float[Tensor, " s"]:
    """`stem_losses` of stems, or of all their sums."""
    if not combine:
        return stem_losses(estimates, sources, kind)
    sets = subsets(sources.shape[1], sources)
    return share(stem_losses(_sums(sets, estimates), _sums(sets, sources), kind), sets)


def angle_losses(estimates: Estimates, sources: Sources, combine: bool) -> Float[Tensor, " s"]:
    """1 minus the weighted SDR of waveforms: the cosine of the angle between estimate and source.

    The cosine for what is not the source counts by its share of the energy. From 0 to 2.
    Source: Choi et al., ICLR 2019, arXiv:1903.03107; Sawata et al., arXiv:2010.04228.
    """
    mixture = sources.sum(1, keepdim=True)
    if not combine:
        return 1 + weighted_sdr(estimates, sources, mixture).mean((0, 2))
    sets = subsets(sources.shape[1], sources)
    rows = weighted_sdr(_sums(sets, estimates), _sums(sets, sources), mixture)
    return share(1 + rows.mean((0, 2)), sets)


def weighted_sdr(
    estimates: Float[Tensor, "*b t"],
    sources: Float[Tensor, "*b t"],
    mixture: Float[Tensor, "*b2 t"],
) -> Float[Tensor, "*b"]:
    """Minus the cosine for the source and for the rest, weighted by their energies; -1 to 1.

    >>> x = torch.tensor([1.0, 0.0])
    >>> round(float(weighted_sdr(x, x, torch.tensor([1.0, 1.0]))), 4)
    -1.0
    """
    rest, other = mixture - sources, mixture - estimates
    source_power, rest_power = sources.square().sum(-1), rest.square().sum(-1)
    share = source_power / (source_power + rest_power + _EPSILON)
    return -share * _cosine(estimates, sources) - (1 - share) * _cosine(other, rest)


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    norms = [(_EPSILON + x.square().sum(-1)).sqrt() for x in (a, b)]
    return (a * b).sum(-1) / (norms[0] * norms[1] + _EPSILON)


def subsets(stems: int, like: Tensor) -> Float[Tensor, "n s"]:
    """A row of ones and zeros for every set of stems, except the empty and the full set.

    >>> subsets(2, torch.zeros(1))
    tensor([[1., 0.],
            [0., 1.]])
    """
    chosen = [c for size in range(1, max(2, stems)) for c in combinations(range(stems), size)]
    rows = torch.zeros(len(chosen), stems, device=like.device)
    for row, members in zip(rows, chosen, strict=True):
        row[list(members)] = 1
    return rows


def _sums(sets: Float[Tensor, "n s"], signals: Float[Tensor, "b s c m"]) -> Tensor:
    return torch.einsum("ns,bscm->bncm", sets, signals)


def share(losses: Float[Tensor, " n"], sets: Float[Tensor, "n s"]) -> Float[Tensor, " s"]:
    """Losses of sums to losses of stems with the same mean."""
    stems = sets / sets.sum(1, keepdim=True)
    return losses @ stems * (sets.shape[1] / len(sets))
