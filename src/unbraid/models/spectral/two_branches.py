"""What the two hybrids, Hybrid Demucs and HT Demucs, share: two U-Nets around a core."""

from __future__ import annotations

from abc import abstractmethod

from einops import rearrange
from torch import Tensor, nn

from unbraid.models.network import Network
from unbraid.models.spectral.parts import standardize
from unbraid.shapes import Estimates, Float, Mixture


class TwoBranches(Network):
    """A U-Net on the spectrogram and one on the waveform. A subclass says how they meet."""

    spec_encoder: nn.ModuleList
    time_encoder: nn.ModuleList
    spec_decoder: nn.ModuleList
    time_decoder: nn.ModuleList

    @abstractmethod
    def core(
        self, x: Float[Tensor, "b c f n"], t: Float[Tensor, "b c2 m"]
    ) -> tuple[Float[Tensor, "b c3 f n"], Float[Tensor, "b c4 m"]]:
        """What lies between encoders and decoders, on the innermost features of both branches.

        Widths change only where there are no decoders: then stems come out.
        """

    def network(
        self, features: Float[Tensor, "b p f n"], mixture: Mixture
    ) -> tuple[Float[Tensor, "b s p f n"], Estimates]:
        """Everything between the STFT and its inverse, in real numbers.

        Args:
            features: spectrogram of the mixture, as the spectral branch takes it.
        Returns:
            the same for each stem, and the waveform that the time branch adds.
        """
        x, x_mean, x_std = standardize(features)
        t, t_mean, t_std = standardize(mixture)

        x_skips, t_skips, t_lengths = [], [], []
        for spec_layer, time_layer in zip(self.spec_encoder, self.time_encoder, strict=True):
            t_lengths.append(t.shape[-1])
            x, t = spec_layer(x), time_layer(t)
            x_skips.append(x)
            t_skips.append(t)

        x, t = self.core(x, t)

        for spec_layer, time_layer in zip(self.spec_decoder, self.time_decoder, strict=True):
            x = spec_layer(x, x_skips.pop())
            t = time_layer(t, t_skips.pop(), samples=t_lengths.pop())

        x, t = self._by_stem(x), self._by_stem(t)
        return x * x_std[:, None] + x_mean[:, None], t * t_std[:, None] + t_mean[:, None]

    def _by_stem(self, x: Tensor) -> Tensor:
        return rearrange(x, "b (s c) ... -> b s c ...", s=len(self.config.stems))
