"""Multichannel Wiener filtering: magnitudes of the stems, refined until they explain the mixture.

Each stem is modelled as a Gaussian with a power v(t, f) and a spatial covariance R(f); expectation
and maximization alternate. Source: Nugraha, Liutkus, Vincent, "Multichannel audio source
separation with deep neural networks", IEEE/ACM TASLP 2016; with the choices that published models
were made with (blocks of 300 frames, scaling, regularization).
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Complex, Float
from torch import Tensor

BLOCK_FRAMES = 300
"""Frames over which the spatial covariance of a stem is taken to be constant."""

EPSILON = 1e-10


def with_mixture_phase(
    magnitudes: Float[Tensor, "b s c f n"], mixture: Complex[Tensor, "b c f n"]
) -> Complex[Tensor, "b s c f n"]:
    """Spectrograms of these magnitudes, negative ones too, and the phase of the mixture."""
    phase = torch.where(mixture == 0, 0.0, mixture.angle())  # also for a zero of negative sign
    return magnitudes * torch.complex(phase.cos(), phase.sin())[:, None]


def refine(
    stems: Complex[Tensor, "b s c f n"],
    mixture: Complex[Tensor, "b c f n"],
    iterations: int,
) -> Complex[Tensor, "b s c f n"]:
    """Expectation-maximization from a first guess, each block of frames for itself.

    Args:
        stems: first guess.
        mixture: what they should add up to; 1 or 2 channels.
        iterations: how often to alternate; 0 gives the guess back.
    """
    size = BLOCK_FRAMES
    blocks = zip(torch.split(stems, size, -1), torch.split(mixture, size, -1), strict=True)
    return torch.cat([_refine_block(y, x, iterations) for y, x in blocks], dim=-1)


def _refine_block(y: Tensor, x: Tensor, iterations: int) -> Tensor:
    loudest = x.abs().amax(dim=(1, 2, 3), keepdim=True)
    gain = (loudest / 10).clamp(min=1)
    x, y = x / gain, y / gain[:, None]
    for _ in range(iterations):
        power = y.abs().square().mean(dim=2)  # b s f n
        y = _filter(y, x, power)
    return y * gain[:, None]


def _filter(y: Tensor, x: Tensor, power: Tensor) -> Tensor:
    """One step: covariances of the guess, and the filter that follows from them, on the mixture."""
    total = EPSILON + power.sum(dim=-1)
    spatial = torch.einsum("bscfn,bsdfn->bsfcd", y, y.conj()) / total[..., None, None]
    weight = power.to(spatial.dtype)
    mixed = torch.einsum("bsfn,bsfcd->bfncd", weight, spatial)
    mixed = mixed + EPSILON**0.5 * torch.eye(x.shape[1], device=x.device)
    whitened = torch.einsum("bfncd,bdfn->bcfn", _inverse(mixed), x)
    return torch.einsum("bsfn,bsfcd,bdfn->bscfn", weight, spatial, whitened)


def _inverse(m: Complex[Tensor, "b f n c c"]) -> Complex[Tensor, "b f n c c"]:
    """Inverse of 1 x 1 or 2 x 2 matrices, in closed form."""
    if m.shape[-1] == 1:
        return 1 / m
    a, b, c, d = rearrange(m, "... i j -> (i j) ...")
    swapped = torch.stack([torch.stack([d, -b], -1), torch.stack([-c, a], -1)], -2)
    inverse: Tensor = swapped / (a * d - b * c)[..., None, None]
    return inverse
