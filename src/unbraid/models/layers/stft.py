"""Short-time Fourier transforms whose frames sit where strided convolutions sit.

The time branch of a hybrid model shrinks a song of t samples to ceil(t / hop) steps. `AlignedSTFT`
gives exactly as many frames, each centred on the same samples, so that the branches can be added,
frame to step. Source: arXiv:2111.03600, section 3.2 (padding as in a convolution with kernel n_fft
and stride hop).
"""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from unbraid.errors import ShapeError
from unbraid.shapes import Complex, Float


def pack_complex(stft: Complex[Tensor, "b c f n"]) -> Float[Tensor, "b 2*c f n"]:
    """Lay real and imaginary parts out as channels (CaC), so that real convolutions fit.

    Stereo gives left real, left imaginary, right real, right imaginary. Inverse: `unpack_complex`.

    Args:
        stft: complex spectrogram, (batch, channels, freq, frames).
    Returns:
        real tensor, (batch, 2 * channels, freq, frames).
    Raises:
        ShapeError: if `stft` is not complex or not four-dimensional.
    Source: Choi et al., ISMIR 2020, arXiv:1912.02591.

    >>> pack_complex(torch.zeros(1, 2, 2048, 87, dtype=torch.cfloat)).shape
    torch.Size([1, 4, 2048, 87])
    """
    if not stft.is_complex() or stft.ndim != 4:
        raise ShapeError(
            "pack_complex takes a complex (batch, channels, freq, frames) spectrogram, "
            f"got {stft.dtype} of shape {tuple(stft.shape)}"
        )
    return rearrange(torch.view_as_real(stft), "b c f n ri -> b (c ri) f n")


def unpack_complex(packed: Float[Tensor, "... ri_c f n"]) -> Complex[Tensor, "... c f n"]:
    """Read channels as real and imaginary parts again; inverse of `pack_complex`.

    >>> z = torch.randn(1, 2, 5, 3, dtype=torch.cfloat)
    >>> bool((unpack_complex(pack_complex(z)) == z).all())
    True
    """
    return torch.view_as_complex(
        rearrange(packed, "... (c ri) f n -> ... c f n ri", ri=2).contiguous()
    )


def pad_reflect(x: Float[Tensor, "... t"], left: int, right: int) -> Float[Tensor, "... t2"]:
    """Pad by reflection, also where the signal is too short to be reflected.

    A short signal first gets just enough zeros, on the right as far as the right needs padding. The
    original samples are at [left, left + t) in any case.
    """
    missing = max(left, right) - x.shape[-1] + 1
    if missing > 0:
        zeros_right = min(right, missing)
        zeros_left = missing - zeros_right
        x = F.pad(x, (zeros_left, zeros_right))
        left, right = left - zeros_left, right - zeros_right
    shape = x.shape
    padded = F.pad(x.reshape(1, -1, shape[-1]), (left, right), mode="reflect")
    return padded.reshape(*shape[:-1], -1)


@functools.lru_cache(maxsize=16)
def _window(n_fft: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    # Not a buffer: a model then has nothing but parameters, and can be laid out before it is
    # filled.
    with torch.inference_mode(False):
        return torch.hann_window(n_fft, dtype=dtype, device=device)


class CentredSTFT(nn.Module):
    """Plain centred STFT without its Nyquist bin, scaled to keep energy.

    Frame n is centred on sample n * hop, so t samples give floor(t / hop) + 1 frames. Hann window,
    hop n_fft / 4. Needs t > n_fft / 2.
    """

    def __init__(self, n_fft: int) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.hop = n_fft // 4

    def forward(self, x: Float[Tensor, "*b t"]) -> Complex[Tensor, "*b f n"]:
        """Samples to spectrogram, (..., samples) -> (..., n_fft / 2, frames)."""
        return self._all_bins(x)[..., :-1, :]

    def inverse(self, z: Complex[Tensor, "*b f n"], samples: int) -> Float[Tensor, "*b t"]:
        """Spectrogram to `samples` samples; the missing Nyquist bin counts as zero."""
        return self._inverse_all_bins(F.pad(z, (0, 0, 0, 1)), samples)

    def _all_bins(self, x: Tensor) -> Tensor:
        z = torch.stft(
            x.reshape(-1, x.shape[-1]),
            self.n_fft,
            self.hop,
            window=_window(self.n_fft, x.dtype, x.device),
            center=True,
            pad_mode="reflect",
            normalized=True,
            return_complex=True,
        )
        return z.reshape(*x.shape[:-1], *z.shape[-2:])

    def _inverse_all_bins(self, z: Tensor, samples: int) -> Tensor:
        # A real signal has no imaginary part at 0 Hz. Processors ignore one; cuFFT, in float32, let
        # it leak into all samples, 35 to 43 dB below the estimates. `z` was padded: a copy.
        z.imag[..., 0, :] = 0
        x = torch.istft(
            z.reshape(-1, *z.shape[-2:]),
            self.n_fft,
            self.hop,
            window=_window(self.n_fft, z.real.dtype, z.device),
            center=True,
            normalized=True,
            length=samples,
        )
        return x.reshape(*z.shape[:-2], samples)


class AlignedSTFT(CentredSTFT):
    """STFT with ceil(t / hop) frames, aligned with convolutions of the same total stride.

    Frame n covers samples [n * hop - 1.5 * hop, n * hop + 2.5 * hop), centred on the middle of hop
    n. The outermost 1.5 hops do not come back perfectly from `inverse`: two frames on each side
    that would cover them are left out. Overlapping segments hide it.
    """

    def forward(self, x: Float[Tensor, "*b t"]) -> Complex[Tensor, "*b f n"]:
        """Samples to spectrogram, (..., samples) -> (..., n_fft / 2, ceil(samples / hop))."""
        frames = math.ceil(x.shape[-1] / self.hop)
        left, right = self._padding(x.shape[-1])
        return self._all_bins(self._pad(x, left, right))[..., :-1, 2 : 2 + frames]

    def inverse(self, z: Complex[Tensor, "*b f n"], samples: int) -> Float[Tensor, "*b t"]:
        """Spectrogram of ceil(samples / hop) frames back to `samples` samples."""
        left, right = self._padding(samples)
        padded = self._inverse_all_bins(F.pad(z, (2, 2, 0, 1)), left + samples + right)
        return padded[..., left : left + samples]

    def _padding(self, samples: int) -> tuple[int, int]:
        # 1.5 hops on each side: together with the centring by 2 hops, frame n + 2 of the plain STFT
        # is centred on the middle of hop n, where a convolution with kernel 8 and padding 2 would
        # be.
        edge = 3 * self.hop // 2
        return edge, edge + math.ceil(samples / self.hop) * self.hop - samples

    def _pad(self, x: Tensor, left: int, right: int) -> Tensor:
        return pad_reflect(x, left, right)


class DelayedSTFT(AlignedSTFT):
    """`AlignedSTFT` as some published models were trained with: a slip of theirs, which they
    learnt.

    The signal is padded with zeros instead of its reflection, and `inverse` does not cut the
    padding off again, so that the spectral branch comes 1.5 hops late.
    """

    def inverse(self, z: Complex[Tensor, "*b f n"], samples: int) -> Float[Tensor, "*b t"]:
        """Spectrogram to `samples` samples, 1.5 hops late."""
        length = math.ceil(samples / self.hop) * self.hop
        return self._inverse_all_bins(F.pad(z, (2, 2, 0, 1)), length)[..., :samples]

    def _pad(self, x: Tensor, left: int, right: int) -> Tensor:
        return F.pad(x, (left, right))
