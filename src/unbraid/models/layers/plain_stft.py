"""The textbook short-time Fourier transform: centred frames, all bins, any hop and window."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from unbraid.models.layers.stft import pad_reflect
from unbraid.shapes import Complex, Float


class PlainSTFT(nn.Module):
    """Centred STFT with reflected ends. Frame n is centred on sample n * hop.

    `t` samples give floor(t / hop) + 1 frames of n_fft / 2 + 1 bins, for any t >= 1.

    Args:
        n_fft: length of a frame in samples, even.
        hop: distance of frames in samples.
        window: length of the window in samples; None: n_fft. A shorter one is centred.
        hann: True for a periodic Hann window, False for a rectangular one.
        normalized: divide by sqrt(n_fft) on the way in, and multiply on the way out.
    """

    def __init__(
        self,
        n_fft: int,
        hop: int,
        window: int | None = None,
        hann: bool = True,
        normalized: bool = False,
    ) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        self.window, self.hann = window or n_fft, hann
        self.normalized = normalized

    def forward(self, x: Float[Tensor, "*b t"]) -> Complex[Tensor, "*b f n"]:
        """Samples to spectrogram, (..., samples) -> (..., n_fft / 2 + 1, frames)."""
        half = self.n_fft // 2
        z = torch.stft(
            pad_reflect(x.reshape(-1, x.shape[-1]), half, half),
            self.n_fft,
            self.hop,
            self.window,
            _window(self.window, self.hann, x.dtype, x.device),
            center=False,
            normalized=self.normalized,
            return_complex=True,
        )
        return z.reshape(*x.shape[:-1], *z.shape[-2:])

    def inverse(self, z: Complex[Tensor, "*b f n"], samples: int) -> Float[Tensor, "*b t"]:
        """Spectrogram to samples, (..., n_fft / 2 + 1, frames) -> (..., samples)."""
        if z.is_cuda:
            # A real signal has no imaginary part at 0 Hz and at the Nyquist frequency. Processors
            # ignore one; cuFFT lets it leak into all samples.
            z = z.clone()
            z.imag[..., 0, :] = 0
            z.imag[..., -1, :] = 0
        x = torch.istft(
            z.reshape(-1, *z.shape[-2:]),
            self.n_fft,
            self.hop,
            self.window,
            _window(self.window, self.hann, z.real.dtype, z.device),
            center=True,
            normalized=self.normalized,
            length=samples,
        )
        return x.reshape(*z.shape[:-2], samples)


@functools.lru_cache(maxsize=16)
def _window(length: int, hann: bool, dtype: torch.dtype, device: torch.device) -> Tensor:
    # Not a buffer: a model then has nothing but weights, and can be laid out before it is filled.
    with torch.inference_mode(False):
        make = torch.hann_window if hann else torch.ones
        return make(length, dtype=dtype, device=device)
