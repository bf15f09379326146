"""Changing the sample rate inside a model, by a ratio of small numbers."""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unbraid.shapes import Float

ZEROS = 24
"""Zero crossings of the sinc on each side."""

ROLLOFF = 0.945
"""Where the low-pass cuts, as a share of the lower Nyquist frequency."""


class SincResampler(nn.Module):
    """From `old` to `new` samples by a windowed sinc; the ends are held.

    Shape: (..., t) -> (..., floor(t * new / old)).
    Source: J. O. Smith, "Digital Audio Resampling", https://ccrma.stanford.edu/~jos/resample/; sinc
    times a squared-cosine window over 24 zero crossings, normalized to a gain of 1 at DC.

    >>> SincResampler(1, 2)(torch.ones(3)).shape
    torch.Size([6])
    """

    def __init__(self, old: int, new: int) -> None:
        super().__init__()
        common = math.gcd(old, new)
        self.old, self.new = old // common, new // common

    def forward(self, x: Float[Tensor, "*b t"]) -> Float[Tensor, "*b t2"]:
        """Resample along the last axis."""
        kernels, width = _kernels(self.old, self.new, x.dtype, x.device)
        flat = x.reshape(-1, 1, x.shape[-1])
        padded = F.pad(flat, (width, width + self.old), mode="replicate")
        phases = _strided_conv(padded, kernels, self.old)
        y = phases.transpose(1, 2).reshape(*x.shape[:-1], -1)
        return y[..., : self.new * x.shape[-1] // self.old]


def _strided_conv(
    x: Float[Tensor, "n 1 t"], kernels: Float[Tensor, "m 1 k"], stride: int
) -> Float[Tensor, "n m t2"]:
    """`F.conv1d(x, kernels, stride=stride)`, by one channel for each of `stride` neighbours.

    Without a stride torch goes back through it more than twice as fast on a CPU.
    """
    steps = (x.shape[-1] - kernels.shape[-1]) // stride + 1
    taps = math.ceil(kernels.shape[-1] / stride)
    kernels = F.pad(kernels, (0, taps * stride - kernels.shape[-1]))
    needed = (steps - 1 + taps) * stride
    x = F.pad(x, (0, max(0, needed - x.shape[-1])))[..., :needed]

    def split(y: Tensor) -> Tensor:
        return y.reshape(len(y), -1, stride).transpose(1, 2)

    return F.conv1d(split(x), split(kernels))


@functools.lru_cache(maxsize=16)
def _kernels(old: int, new: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, int]:
    """A filter for each of the `new` phases, (new, 1, taps), and how far it reaches back."""
    cutoff = min(old, new) * ROLLOFF
    width = math.ceil(ZEROS * old / cutoff)
    # In double: the shape of a filter of 100 taps is the model's, down to the last digit.
    with torch.inference_mode(False):
        taps = torch.arange(-width, width + old, dtype=torch.float64) / old
        phase = torch.arange(new, dtype=torch.float64) / new
        angle = ((taps - phase[:, None]) * cutoff).clamp(-ZEROS, ZEROS) * math.pi
        kernels = torch.sinc(angle / math.pi) * torch.cos(angle / (2 * ZEROS)).square()
        kernels = kernels / kernels.sum(dim=1, keepdim=True)
        return kernels[:, None].to(device, dtype), width
