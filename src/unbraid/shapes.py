"""What flows through unbraid, by name: arrays of numpy or tensors of torch.

Letters: b batch, s stems, c channels, t samples, f frequency bins, n frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxtyping import Complex, Float

if TYPE_CHECKING:
    from torch import Tensor
else:
    Tensor = Any  # a song may go from file to files without torch: nothing here loads it

Mixture = Float[Tensor, "b c t"]
"""Songs: (batch, channels, samples)."""

Sources = Float[Tensor, "b s c t"]
"""True parts: (batch, stems, channels, samples)."""

Estimates = Float[Tensor, "b s c t"]
"""A model's parts, shaped like `Sources`."""

Spectrogram = Complex[Tensor, "b c f n"]
"""Complex STFT: (batch, channels, freq, frames)."""
