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
from torch import Tensor

from unbraid.errors import SettingsError
from unbraid.shapes import Complex, Float


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
            the package `norbert` 2.2e-16, Spleeter 1.2e-7.
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
            SettingsError: for more than two channels, if iterations are requested.
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

    The matrices of one or two channels are written out: that takes half the time of `einsum`. All
    is in float64: where both channels are alike, as in every mono song, the determinant is the
    small difference of two large numbers.

    Args:
        y: estimates of the stems.
        x: the mixture, of 1 or 2 channels.
        floor: ε, added to the power of a stem.
        diagonal: δ, added to the diagonal of the mixture's covariance.
    """
    kept, y, x = y.dtype, y.to(torch.complex128), x.to(torch.complex128)
    power = _squared(y).mean(dim=2)  # b s f n
    total = floor + power.sum(dim=-1, keepdim=True)
    left, *others = y.unbind(dim=2)
    a = power * (_squared(left).sum(-1, keepdim=True) / total)  # p R of the left channel
    if not others:
        result: Tensor = (a * (x / (a.sum(1, keepdim=True) + diagonal)))[:, :, None]
        return result.to(kept)
    (right,) = others
    d = power * (_squared(right).sum(-1, keepdim=True) / total)  # of the right channel
    c = power * ((left * right.conj()).sum(-1, keepdim=True) / total)  # left to right
    whole_a, whole_d, whole_c = a.sum(1) + diagonal, d.sum(1) + diagonal, c.sum(1)
    determinant = whole_a * whole_d - _squared(whole_c)
    x_left, x_right = x.unbind(dim=1)
    white_left = ((whole_d * x_left - whole_c * x_right) / determinant)[:, None]
    white_right = ((whole_a * x_right - whole_c.conj() * x_left) / determinant)[:, None]
    filtered = [a * white_left + c * white_right, c.conj() * white_left + d * white_right]
    return torch.stack(filtered, 2).to(kept)


def _squared(z: Tensor) -> Tensor:
    """|z|² of complex numbers."""
    return torch.view_as_real(z.resolve_conj()).square().sum(-1)
