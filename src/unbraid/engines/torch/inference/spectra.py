"""From the rows of the last decoder layer to waves: the inverse STFT, with frames in one piece.

Rows go straight to where the inverse transform reads them, (signals, frames, freq). A frame of the
inverse is four hops long, so overlap-add is four sums of whole hops; of squared Hann windows a
quarter apart the sum is 3/2 everywhere, frames beyond the ends included.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor

_OVERLAP = 4
_WINDOWS = 1.5
"""Sum of the squared windows that cover a sample."""


class SpectraOfStems:
    """Complex spectra (signals, frames, n_fft / 2 + 1), filled row by row, then turned into waves.

    Args:
        signals: stems times channels, each with two features: real and imaginary part.
        samples: of the song.
    """

    def __init__(self, signals: int, n_fft: int, samples: int) -> None:
        self._n_fft, self._hop, self._samples = n_fft, n_fft // _OVERLAP, samples
        frames = math.ceil(samples / self._hop)
        self._spectra = torch.empty(signals, frames, n_fft // 2 + 1, dtype=torch.complex64)
        self._spectra[..., -1] = 0  # the Nyquist bin is nobody's

    def put(self, start: int, stop: int, rows: Float[Tensor, "f n c"]) -> None:
        """Frequencies [start, stop): rows of interleaved real and imaginary parts."""
        pairs = torch.view_as_complex(rows.view(*rows.shape[:2], -1, 2))
        self._spectra[:, :, start:stop] = pairs.permute(2, 1, 0)

    def waves(self) -> Float[Tensor, "signals t"]:
        """What `AlignedSTFT.inverse` gives; can be called once."""
        window = torch.hann_window(self._n_fft) * (math.sqrt(self._n_fft) / _WINDOWS)
        first = 3 * self._hop // 2
        waves = torch.empty(len(self._spectra), self._samples)
        for wave, spectrum in zip(waves, self._spectra, strict=True):
            wave.copy_(self._overlap_add(spectrum, window)[first : first + self._samples])
        del self._spectra
        return waves

    def _overlap_add(
        self, spectrum: Complex[Tensor, "n f"], window: Float[Tensor, " w"]
    ) -> Float[Tensor, " t2"]:
        frames = torch.fft.irfft(spectrum, n=self._n_fft)
        frames *= window
        hops = frames.view(len(frames), _OVERLAP, self._hop)
        total = frames.new_zeros(len(frames) + _OVERLAP - 1, self._hop)
        for number in range(_OVERLAP):
            total[number : number + len(frames)] += hops[:, number]
        wave: Tensor = total.view(-1)
        return wave
