"""STFT whose frames start before the song: no reflection, and silence comes first.

Spleeter computes spectrograms so: zeros of the length of one frame come before the song, frame n
starts at sample n * hop of the padded song, and zeros fill up the last frame. Every sample of the
song then lies under as many frames as any other.
"""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from unbraid.shapes import Complex, Float


class LeadInSTFT:
    """Hann window, frames of `n_fft` samples every `hop`.

    >>> LeadInSTFT(4096, 1024)(torch.zeros(1, 2, 44100)).shape
    torch.Size([1, 2, 48, 2049])
    """

    def __init__(self, n_fft: int, hop: int) -> None:
        self.n_fft, self.hop = n_fft, hop

    def __call__(self, x: Float[Tensor, "*b t"]) -> Complex[Tensor, "*b n f"]:
        """Samples to spectrogram: (..., samples) -> (..., frames, n_fft / 2 + 1)."""
        frames = self.frames(x.shape[-1])
        right = self._span(frames) - self.n_fft - x.shape[-1]
        padded = F.pad(x, (self.n_fft, right))
        framed = padded.unfold(-1, self.n_fft, self.hop)
        result: Tensor = torch.fft.rfft(framed * _window(self.n_fft, x.dtype, x.device))
        return result

    def inverse(self, z: Complex[Tensor, "*b n f"], samples: int) -> Float[Tensor, "*b t"]:
        """Spectrogram to samples; undoes `__call__` up to rounding."""
        window = _window(self.n_fft, z.real.dtype, z.device)
        framed = torch.fft.irfft(z, self.n_fft) * window
        weights = (window * window).expand(framed.shape[-2], -1)
        x = self._add(framed) / self._add(weights).clamp(min=1e-8)
        return x[..., self.n_fft : self.n_fft + samples]

    def frames(self, samples: int) -> int:
        """Number of frames of so many samples."""
        return math.ceil((samples + self.n_fft) / self.hop)

    def _span(self, frames: int) -> int:
        return (frames - 1) * self.hop + self.n_fft

    def _add(self, framed: Float[Tensor, "*b n w"]) -> Float[Tensor, "*b t"]:
        """Overlap-add."""
        *batch, frames, width = framed.shape
        span = self._span(frames)
        columns = framed.reshape(-1, frames, width).transpose(1, 2)
        added = F.fold(columns, (1, span), (1, width), stride=(1, self.hop))
        return added.reshape(*batch, span)


@functools.lru_cache(maxsize=16)
def _window(n_fft: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return torch.hann_window(n_fft, dtype=dtype, device=device)
