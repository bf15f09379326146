"""The multichannel Wiener filter by expectation-maximization, as several systems use it.

Each stem is a Gaussian with a power p(t, f) and a spatial covariance R(f). From estimates y of the
stems, one step computes

    p_j(t, f) = mean over channels of |y_j|²        R_j(f) = Σ_t y_j y_jᴴ / (ε + Σ_t p_j)
    C(t, f) = Σ_j p_j R_j + δ I                     y_j = p_j R_j C⁻¹ x

with the mixture x. Source: Nugraha, Liutkus, Vincent, "Multichannel audio source separation with
deep neural networks", IEEE/ACM TASLP 2016.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Complex, Float
from torch import Tensor

from unbraid.errors import SettingsError


@dataclass(frozen=True)
class WienerEM:
    """Estimates of the stems, refined until they explain the mixture.

    Attributes:
        iterations: how often to alternate; 0 gives the first guess.
        softmask: whether the first guess shares the mixture out in proportion to the magnitudes;
            else it has the magnitudes themselves and the phase of the mixture.
        residual: whether what no stem holds becomes a part of its own, given last.
        block_frames: frames over which a covariance is taken to be constant; None for all.
        epsilon: least power, which keeps silence from dividing by zero. Open-Unmix has 1e-10,
            the package `norbert` 2.2e-16.
    """

    iterations: int = 1
    softmask: bool = False
    residual: bool = False
    block_frames: int | None = 300
    epsilon: float = 1e-10

    def __call__(
        self, magnitudes: Float[Tensor, "b s c f n"], mixture: Complex[Tensor, "b c f n"]
    ) -> Complex[Tensor, "b s2 c f n"]:
        """Magnitudes of the stems to their spectrograms.

        Raises:
            SettingsError: for more than two channels, where iterations are asked for.
        """
        size = self.block_frames or mixture.shape[-1]
        blocks = zip(torch.split(magnitudes, size, -1), torch.split(mixture, size, -1), strict=True)
        return torch.cat([self._block(v, x) for v, x in blocks], dim=-1)

    def improve(
        self, stems: Complex[Tensor, "b s c f n"], mixture: Complex[Tensor, "b c f n"]
    ) -> Complex[Tensor, "b s c f n"]:
        """Alternate from a first guess with phases of its own, each block of frames by itself."""
        size = self.block_frames or mixture.shape[-1]
        blocks = zip(torch.split(stems, size, -1), torch.split(mixture, size, -1), strict=True)
        return torch.cat([self.refine(y, x) for y, x in blocks], dim=-1)

    def _block(self, magnitudes: Tensor, mixture: Tensor) -> Tensor:
        if self.softmask:
            share = magnitudes / (self.epsilon + magnitudes.sum(1, keepdim=True))
            stems = share * mixture[:, None]
        else:
            stems = with_mixture_phase(magnitudes, mixture)
        if self.residual:
            rest = mixture[:, None] - stems.sum(1, keepdim=True)
            stems = torch.cat([stems, rest], dim=1)
        return self.refine(stems, mixture)

    def refine(
        self, stems: Complex[Tensor, "b s c f n"], mixture: Complex[Tensor, "b c f n"]
    ) -> Complex[Tensor, "b s c f n"]:
        """Alternate, on all frames at once, from a first guess with phases of its own."""
        if self.iterations == 0:
            return stems
        if mixture.shape[1] > 2:
            raise SettingsError(
                f"Wiener filtering takes 1 or 2 audio channels, got {mixture.shape[1]}; "
                "without it (0 iterations) any number will do"
            )
        gain = (mixture.abs().amax((1, 2, 3), keepdim=True) / 10).clamp(min=1)
        x, y = mixture / gain, stems / gain[:, None]
        for _ in range(self.iterations):
            y = filter_once(y, x, floor=self.epsilon, diagonal=self.epsilon**0.5)
        return y * gain[:, None]


def with_mixture_phase(
    magnitudes: Float[Tensor, "b s c f n"], mixture: Complex[Tensor, "b c f n"]
) -> Complex[Tensor, "b s c f n"]:
    """Spectrograms of these magnitudes, negative ones too, and the phase of the mixture."""
    phase = torch.where(mixture == 0, 0.0, mixture.angle())  # also for a zero of negative sign
    return magnitudes * torch.complex(phase.cos(), phase.sin())[:, None]


def filter_once(
    y: Complex[Tensor, "b s c f n"],
    x: Complex[Tensor, "b c f n"],
    floor: float,
    diagonal: float,
) -> Complex[Tensor, "b s c f n"]:
    """One step: covariances of the estimates, and the filter that follows, on the mixture.

    Args:
        floor: ε, added to the power of a stem.
        diagonal: δ, added to the diagonal of the mixture's covariance.
    """
    power = y.abs().square().mean(dim=2)  # b s f n
    total = floor + power.sum(dim=-1)
    spatial = torch.einsum("bscfn,bsdfn->bsfcd", y, y.conj()) / total[..., None, None]
    weight = power.to(spatial.dtype)
    mixed = torch.einsum("bsfn,bsfcd->bfncd", weight, spatial)
    mixed = mixed + diagonal * torch.eye(x.shape[1], device=x.device)
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
