"""Complex as channels in the order of Choi et al.: first all real, then all imaginary parts."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor

from unbraid.shapes import Complex, Float


def pack_parts_first(z: Complex[Tensor, "b c f n"]) -> Float[Tensor, "b 2*c n f"]:
    """Complex as channels, all real parts first, on (frames, freq).

    Stereo gives left real, right real, left imaginary, right imaginary: the order of Choi et al.,
    ISMIR 2020 (`pack_complex` in `models/stft.py` has that of Demucs). Inverse:
    `unpack_parts_first`.
    """
    return rearrange(torch.view_as_real(z), "b c f n ri -> b (ri c) n f")


def unpack_parts_first(packed: Float[Tensor, "*b ri_c n f"]) -> Complex[Tensor, "*b c f n"]:
    """Inverse of `pack_parts_first`."""
    parts = rearrange(packed, "... (ri c) n f -> ... c f n ri", ri=2)
    return torch.view_as_complex(parts.contiguous())
