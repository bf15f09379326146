"""The tensors that flow through unbraid, by name.

Letters: b batch, s stems, c channels, t samples, f frequency bins, n frames.
"""

from __future__ import annotations

from jaxtyping import Complex, Float
from torch import Tensor

Mixture = Float[Tensor, "b c t"]
"""Songs: (batch, channels, samples)."""

Sources = Float[Tensor, "b s c t"]
"""True parts: (batch, stems, channels, samples)."""

Estimates = Float[Tensor, "b s c t"]
"""A model's parts, shaped like `Sources`."""

Spectrogram = Complex[Tensor, "b c f n"]
"""Complex STFT: (batch, channels, freq, frames)."""
