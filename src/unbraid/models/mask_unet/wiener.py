"""Multichannel Wiener filtering of a few stems: their magnitudes refined by where they stand.

Each stem is a Gaussian with a power v(n, f) and a spatial covariance R(f), both estimated from a
first guess of its spectrogram; the filter that follows from them is applied to the mixture. A stem
in the middle and one at the side come apart where their magnitudes alone leave them mixed.

Source: Nugraha, Liutkus, Vincent, "Multichannel audio source separation with deep neural networks",
IEEE/ACM TASLP 2016. Scaling and regularization are those that Spleeter was published with.
"""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float
from torch import Tensor

EPSILON = 1.1920929e-07  # of float32
LOUDEST = 10.0
"""Spectrograms are scaled to no more than this: the regularization is absolute."""


def refine(
    guess: Complex[Tensor, "b s c n f"], mixture: Complex[Tensor, "b c n f"], iterations: int
) -> Complex[Tensor, "b s c n f"]:
    """Expectation-maximization from a first guess; the covariances hold for all frames.

    Args:
        guess: spectrograms of the stems.
        mixture: what they add up to; 1 or 2 channels.
        iterations: how often; 0 returns the guess.
    """
    scale = (mixture.abs().amax(dim=(1, 2, 3), keepdim=True) / LOUDEST).clamp(min=1)
    stems, mixture = guess / scale[:, None], mixture / scale
    for _ in range(iterations):
        stems = _filtered(stems, mixture)
    return stems * scale[:, None]


def _filtered(stems: Tensor, mixture: Tensor) -> Tensor:
    """One step: the statistics of the stems, then their filters on the mixture."""
    power = torch.view_as_real(stems).square().sum(-1).mean(2)  # b s n f
    total = power.sum(2, keepdim=True) + EPSILON  # b s 1 f
    if mixture.shape[1] == 1:
        gain = power * _covariance(stems[:, :, 0], total)
        result: Tensor = (
            gain[:, :, None] * (mixture / (gain.sum(1, keepdim=True) + EPSILON**0.5))[:, None]
        )
        return result
    left, right = stems.unbind(2)
    a = _covariance(left, total) * power  # of the left channel, b s n f
    d = _covariance(right, total) * power
    c = _cross(left, right, total) * power  # of both: left times conjugate right
    whole_a, whole_d = a.sum(1) + EPSILON**0.5, d.sum(1) + EPSILON**0.5
    whole_c = c.sum(1)
    determinant = whole_a * whole_d - torch.view_as_real(whole_c).square().sum(-1)
    x, y = mixture.unbind(1)
    white_x = ((whole_d * x - whole_c * y) / determinant)[:, None]
    white_y = ((whole_a * y - whole_c.conj() * x) / determinant)[:, None]
    return torch.stack([a * white_x + c * white_y, c.conj() * white_x + d * white_y], 2)


def _covariance(x: Complex[Tensor, "b s n f"], total: Float[Tensor, "b s 1 f"]) -> Tensor:
    """Power of one channel over all frames, relative to the stem's."""
    return torch.view_as_real(x).square().sum(-1).sum(2, keepdim=True) / total


def _cross(x: Tensor, y: Tensor, total: Float[Tensor, "b s 1 f"]) -> Tensor:
    """What two channels have in common over all frames."""
    return (x * y.conj()).sum(2, keepdim=True) / total
