"""How a spectrogram enters a network and how its estimates leave it."""

from __future__ import annotations

from jaxtyping import Complex, Float
from torch import Tensor, nn

from unbraid.models.stft import pack_complex, unpack_complex


class ComplexAsChannels(nn.Module):
    """Real and imaginary parts in, real and imaginary parts of every stem out.

    Source: arXiv:2111.03600, section 3.2 (CaC).
    """

    parts = 2
    """Feature channels for each audio channel."""

    def enter(self, z: Complex[Tensor, "b c f n"]) -> Float[Tensor, "b 2*c f n"]:
        """Mixture spectrogram to network input."""
        return pack_complex(z)

    def leave(
        self, y: Float[Tensor, "b s ri_c f n"], mixture: Complex[Tensor, "b c f n"]
    ) -> Complex[Tensor, "b s c f n"]:
        """Network output to spectrograms of the stems; the mixture's phase is not used."""
        return unpack_complex(y)
