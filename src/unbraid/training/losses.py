"""Losses on waveforms of normalized loudness."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from unbraid.models.network import BandErrors
from unbraid.shapes import Estimates, Float, Sources
from unbraid.training.config import LossRecipe

_BAND_FLOOR = 1e-6  # of the mixture's power in a band: keeps the root's gradient finite
_LOG_FLOOR = 0.003  # of the mixture's power: errors below it hardly count


def stem_losses(estimates: Estimates, sources: Sources, kind: str = "l1") -> Float[Tensor, " s"]:
    """The loss of each stem, a mean over items, channels and samples.

    Args:
        estimates, sources: (batch, stems, channels, samples).
        kind: "l1" |ŝ - s|; "mse" (ŝ - s)²; "relative": root of the error's power over the
            mixture's; "log": log10 of one plus the error's power over 0.003 of the mixture's, so
            0.1 is about 1 dB of nSDR. Errors below -25 dB of the mixture hardly count. A plain
            logarithm would weigh a quiet stem a thousand times more than a loud one, and models
            without masks become silent with it (docs/training-log.md).
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
    return power_losses(power, sources.sum(1).square().mean((1, 2)), kind)


def power_losses(
    error: Float[Tensor, "b s"], mixture: Float[Tensor, " b"], kind: str
) -> Float[Tensor, " s"]:
    """`stem_losses` of "relative" and "log", from mean squares of the errors and the mixture."""
    mixture = mixture[:, None]
    if kind == "log":
        return (1 + error / (_LOG_FLOOR * mixture + 1e-8)).log10().mean(0)
    return (error / (mixture + 1e-6) + 1e-4).sqrt().mean(0)


def band_losses(errors: BandErrors, kind: str, spectral: float = 0.0) -> Float[Tensor, " s"]:
    """The loss of each stem from the errors of a network's masks in its own bands.

    Args:
        errors: of the network.
        kind: "relative" or "log", as in `stem_losses`.
        spectral: weight of the amplitudes of the errors over that of the mixture, band by band, as
            `spectral_losses` is one for magnitudes; 0 for none.
    Returns:
        (stems,), 0 or more.
    """
    error, mixture = errors.error.clamp(min=0), errors.mixture  # rounding may leave it below 0
    power = error.sum((3, 4)).mean(2)
    losses = power_losses(power, mixture.sum((2, 3)).mean(1), kind)
    if spectral:
        least = _BAND_FLOOR * (mixture.mean((1, 2, 3)) + 1e-12)
        amplitude = (error + least[:, None, None, None, None]).sqrt().mean((2, 3, 4))
        loudness = mixture.sqrt().mean((1, 2, 3))[:, None]
        losses = losses + spectral * (amplitude / (loudness + 1e-7)).mean(0)
    return losses


_FFT_SIZES = (512, 1024, 2048, 4096)


def spectral_losses(estimates: Estimates, sources: Sources) -> Float[Tensor, " s"]:
    """How far magnitudes are off, for each stem: a mean over STFTs of several resolutions.

    Mean absolute difference over the mixture's mean magnitude, so that it does not depend on
    loudness. Resolutions that need longer excerpts are left out, except for the first.

    Args:
        estimates, sources: (batch, stems, channels, samples).
    Returns:
        (stems,), 0 or more.
    Source: Yamamoto et al., ICASSP 2020, arXiv:1910.11480, with other norms.

    >>> ones = torch.ones(1, 2, 2, 1000)
    >>> spectral_losses(-ones, ones).tolist()
    [0.0, 0.0]
    """
    samples = sources.shape[-1]
    total = torch.zeros(sources.shape[1], device=sources.device)
    sizes = [size for size in _FFT_SIZES if size <= samples] or [_FFT_SIZES[0]]
    for size in sizes:
        with torch.no_grad():
            wanted = _magnitudes(sources, size)
            mixture = _magnitudes(sources.sum(1, keepdim=True), size).mean((1, 2, 3, 4))
        error = (_magnitudes(estimates, size) - wanted).abs().mean((2, 3, 4))
        total = total + (error / (mixture[:, None] + 1e-5)).mean(0) / len(sizes)
    return total


def _magnitudes(signals: Tensor, size: int) -> Tensor:
    """(b, s, c, t) -> (b, s, c, freq, frames); smooth at 0, where a modulus has no gradient."""
    flat = signals.flatten(0, 2)
    window = torch.hann_window(size, device=signals.device)
    stft = torch.stft(
        flat, size, size // 4, window=window, pad_mode="constant", normalized=True,
        return_complex=True,
    )  # fmt: skip
    power = torch.view_as_real(stft).square().sum(-1)
    return (power + 1e-10).sqrt().reshape(*signals.shape[:3], *power.shape[1:])


def weighted_loss(losses: Float[Tensor, " s"], weights: Float[Tensor, " s"]) -> Float[Tensor, ""]:
    """Mean over stems: Σ w_j L_j / Σ w_j. Source: the public Demucs training code."""
    return (losses * weights).sum() / weights.sum()


def stem_weights(recipe: LossRecipe, stems: Sequence[str]) -> Float[Tensor, " s"]:
    """The recipe's weight of each stem, 1 where it names none."""
    return torch.tensor([recipe.weights.get(stem, 1.0) for stem in stems])
