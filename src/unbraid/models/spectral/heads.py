"""How a spectrogram enters a network and how its estimates leave it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unbraid.models.layers.stft import pack_complex, unpack_complex
from unbraid.models.layers.wiener_em import WienerEM, with_mixture_phase
from unbraid.models.network import no_graph
from unbraid.shapes import Complex, Float


class ComplexAsChannels(nn.Module):
    """Real and imaginary parts in, real and imaginary parts of every stem out.

    Source: arXiv:2111.03600, section 3.2 (CaC).
    """

    parts = 2
    """Feature channels for each audio channel."""

    def graph_kind(self) -> str:
        """What an exported graph says of the ends of its spectrograms."""
        return "complex"

    def enter(self, z: Complex[Tensor, "b c f n"]) -> Float[Tensor, "b 2*c f n"]:
        """Mixture spectrogram to network input."""
        return pack_complex(z)

    def leave(
        self, y: Float[Tensor, "b s ri_c f n"], mixture: Complex[Tensor, "b c f n"]
    ) -> Complex[Tensor, "b s c f n"]:
        """Network output to spectrograms of the stems; the mixture's phase is not used."""
        return unpack_complex(y)


class MagnitudeHead(nn.Module):
    """Magnitudes in, magnitudes of every stem out; the phase comes from the mixture.

    Args:
        iterations: of Wiener filtering in evaluation mode; 0 uses the mixture's phase unchanged, a
            negative number likewise, by dividing by |z| + 1e-8.
        training_iterations: the same in training mode.
        residual: gives what no stem holds a part of its own while filtering.
    Source: arXiv:2111.03600, section 3.2; Stöter et al. 2019 (Open-Unmix).
    """

    parts = 1
    """Feature channels for each audio channel."""

    def __init__(
        self, iterations: int = 0, training_iterations: int = 0, residual: bool = False
    ) -> None:
        super().__init__()
        self.iterations, self.training_iterations = iterations, training_iterations
        self.residual = residual

    def graph_kind(self) -> str:
        """What an exported graph says of the ends of its spectrograms.

        Raises:
            ModelError: if estimates are filtered, which graphs do not support.
        """
        if self.iterations > 0:
            raise no_graph(
                "it refines its stems by Wiener filtering, which has no part in a graph; export a "
                "model that uses the phase of the mixture unchanged"
            )
        return "ratio" if self.iterations < 0 else "magnitude"

    def enter(self, z: Complex[Tensor, "b c f n"]) -> Float[Tensor, "b c f n"]:
        """Mixture spectrogram to network input."""
        return z.abs()

    def leave(
        self, y: Float[Tensor, "b s c f n"], mixture: Complex[Tensor, "b c f n"]
    ) -> Complex[Tensor, "b s c f n"]:
        """Network output, magnitudes that may be negative, to spectrograms of the stems."""
        iterations = self.training_iterations if self.training else self.iterations
        if iterations < 0:
            return y * (mixture / (1e-8 + mixture.abs()))[:, None]
        stems = with_mixture_phase(y, mixture)
        if iterations == 0:
            return stems
        mixture = torch.where(mixture == 0, 1.0, mixture)  # so did the filter they trained with
        if not self.residual:
            return WienerEM(iterations).improve(stems, mixture)
        rest = mixture[:, None] - stems.sum(dim=1, keepdim=True)
        return WienerEM(iterations).improve(torch.cat([stems, rest], dim=1), mixture)[:, :-1]
