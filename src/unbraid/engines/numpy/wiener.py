"""The Wiener filter of `models/layers/wiener_em.py` on arrays, for stereo and one iteration.

The guesses are shares of the mixture, so all that is needed of them are real numbers.
"""

from __future__ import annotations

import numpy as np

from unbraid.engines.numpy import compiled
from unbraid.engines.numpy.team import Team
from unbraid.shapes import Complex64, Float32

_BINS = 64
"""Bins that are filtered at once."""
EPSILON, LOUDEST = 1.1920929e-07, 10.0


def loudest_scale(spectra: Complex64[np.ndarray, "c n f"]) -> float:
    """By what the filter takes a spectrogram to be smaller than it is."""
    return max(1.0, float(np.sqrt(_square(spectra).max(initial=0.0))) / LOUDEST)


def filter_stem(
    shares: Float32[np.ndarray, "s 2 n f"],
    mixture: Complex64[np.ndarray, "2 n f"],
    found: Complex64[np.ndarray, "2 n f"],
    scale: float,
    stem: int,
    team: Team,
) -> None:
    """found <- one stem of a patch, as `filter_bins` gives it; by our own kernels, where they are
    there. `found` lies in memory as `mixture` does."""
    if compiled.available():
        from unbraid.engines.native import masks

        masks.filter_spectrum(shares, mixture, found, scale, stem, team.threads)
        return

    def run(first: int) -> None:
        bins = slice(first, first + _BINS)
        found[..., bins] = filter_bins(shares[..., bins], mixture[..., bins], scale, stem)

    team.spread(run, range(0, mixture.shape[-1], _BINS))


def filter_bins(
    shares: Float32[np.ndarray, "s 2 n f"],
    mixture: Complex64[np.ndarray, "2 n f"],
    scale: float,
    stem: int,
) -> Complex64[np.ndarray, "2 n f"]:
    """One stem of a few bins, over all frames of a patch.

    Args:
        shares: each stem's share of both channels.
        mixture: spectrogram of both channels.
        scale: as `loudest_scale` gives it, for all bins of the patch.
        stem: which one.
    """
    x, y = mixture
    louder = np.float32(scale * scale)
    reg = np.float32(EPSILON**0.5) * louder
    powers = _square(mixture)
    across = x * y.conj()
    whole_x, whole_y = np.full_like(powers[0], reg), np.full_like(powers[0], reg)
    whole_c = np.zeros_like(across)
    own = None
    for number, (left, right) in enumerate(shares):
        of_x, of_y = left * left * powers[0], right * right * powers[1]
        power = np.float32(0.5) * (of_x + of_y)
        total = power.sum(0) + np.float32(EPSILON) * louder
        a, d = of_x.sum(0) / total, of_y.sum(0) / total
        c = (left * right * across).sum(0) / total
        whole_x += a * power
        whole_y += d * power
        whole_c += c * power
        if number == stem:
            own = power, a, d, c
    assert own is not None
    power, a, d, c = own
    power = power / (whole_x * whole_y - _square(whole_c))
    white_x = whole_y * x - whole_c * y
    white_y = whole_x * y - whole_c.conj() * x
    found = np.stack([a * white_x + c * white_y, c.conj() * white_x + d * white_y])
    found *= power
    return found


def _square(z: np.ndarray) -> np.ndarray:
    squared: np.ndarray = z.real * z.real + z.imag * z.imag
    return squared
