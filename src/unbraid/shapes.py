"""What flows through unbraid, by name: arrays of numpy or tensors of torch.

Letters: b batch, s stems, c channels, t samples, f frequency bins, n frames.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

# Kinds of arrays, for annotations. Only type checkers and the tests evaluate these, and load
# jaxtyping for it, which takes longer than numpy.
if TYPE_CHECKING or "jaxtyping" in sys.modules:
    from jaxtyping import Complex, Complex64, Float, Float32, Float64, Int, Int32, Int64, UInt8
else:

    class _Unchecked:
        """Stands for any kind of array."""

        def __class_getitem__(cls, shape: Any) -> type:
            return cls

    Complex = Complex64 = Float = Float32 = Float64 = Int = Int32 = Int64 = UInt8 = _Unchecked

if TYPE_CHECKING:
    from torch import Tensor
else:
    Tensor = Any  # a song may go from file to files without torch: nothing here loads it

__all__ = [
    "Complex",
    "Complex64",
    "Estimates",
    "Float",
    "Float32",
    "Float64",
    "Int",
    "Int32",
    "Int64",
    "Mixture",
    "Sources",
    "Spectrogram",
    "Tensor",
    "UInt8",
]

Mixture = Float[Tensor, "b c t"]
"""Songs: (batch, channels, samples)."""

Sources = Float[Tensor, "b s c t"]
"""True parts: (batch, stems, channels, samples)."""

Estimates = Float[Tensor, "b s c t"]
"""A model's parts, shaped like `Sources`."""

Spectrogram = Complex[Tensor, "b c f n"]
"""Complex STFT: (batch, channels, freq, frames)."""
