"""Ratio masks in torch, with a gradient: `runtimes/masks.py` for models in training."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from unbraid.models.base import FRAME_SAMPLES, SILENCE
from unbraid.shapes import Estimates, Mixture


def apply_ratio_masks(mixture: Mixture, estimates: Estimates) -> Estimates:
    """The mixture, shared out in proportion to the estimates' magnitudes.

    Args:
        mixture: (batch, channels, samples).
        estimates: (batch, stems, channels, samples).
    Returns:
        (batch, stems, channels, samples).
    """
    samples = mixture.shape[-1]
    # Smooth at 0, where a modulus has no gradient: stems that are silent share alike.
    power = torch.view_as_real(_spectrum(estimates)).square().sum(-1)
    sizes = (power + SILENCE**2).sqrt()
    shares = sizes / sizes.sum(1, keepdim=True)
    return _signal(shares * _spectrum(mixture)[:, None], samples)


def _spectrum(signals: Tensor) -> Tensor:
    """(..., t) -> (..., frames, freq): half-overlapping frames under a sine window."""
    hop = FRAME_SAMPLES // 2
    padded = F.pad(signals, (hop, hop + -signals.shape[-1] % hop))
    spectrum: Tensor = torch.fft.rfft(padded.unfold(-1, FRAME_SAMPLES, hop) * _window(signals))
    return spectrum


def _signal(spectrum: Tensor, samples: int) -> Tensor:
    """(..., frames, freq) -> (..., t): inverse of `_spectrum`."""
    frames: Tensor = torch.fft.irfft(spectrum, FRAME_SAMPLES)
    early, late = (frames * _window(frames)).chunk(2, dim=-1)
    total: Tensor = early[..., 1:, :] + late[..., :-1, :]
    return total.flatten(-2)[..., :samples]


def _window(like: Tensor) -> Tensor:
    middles = torch.arange(FRAME_SAMPLES, dtype=like.dtype, device=like.device) + 0.5
    return torch.sin(torch.pi * middles / FRAME_SAMPLES)
