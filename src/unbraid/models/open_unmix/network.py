"""Open-Unmix: a network for each stem masks magnitudes, a Wiener filter joins them.

    mixture ── STFT ──┬── | | ──► vocals network ──┐
                      │      ├──► drums network  ──┤
                      │      ├──► bass network   ──┼──► Wiener filter (EM) ── inverse STFT ── stems
                      │      └──► other network  ──┘        ▲
                      └─────────────────────────────────────┘

`open_unmix/core.py` has the network of a stem.
Source: Stöter, Uhlich, Liutkus, Mitsufuji, "Open-Unmix", Journal of Open Source Software, 2019.
"""

from __future__ import annotations

from torch import Tensor

from unbraid.models.layers.plain_stft import PlainSTFT
from unbraid.models.layers.stem_nets import StemNets
from unbraid.models.layers.wiener_em import WienerEM, with_mixture_phase
from unbraid.models.open_unmix.config import OpenUnmixConfig
from unbraid.models.open_unmix.core import UnmixCore
from unbraid.models.system import System
from unbraid.shapes import Complex, Estimates, Float, Mixture


class OpenUnmix(System):
    """A masking network for each stem. (b c t) -> (b s c t) for any t >= 1."""

    config: OpenUnmixConfig

    def __init__(self, config: OpenUnmixConfig) -> None:
        super().__init__()
        self.config = config
        self.stft = PlainSTFT(config.n_fft, config.hop)
        self.nets: StemNets[UnmixCore] = StemNets(lambda _: UnmixCore(config), len(config.stems))
        self.filter = WienerEM(
            config.wiener_iterations, config.softmask, block_frames=config.wiener_frames
        )

    def forward(self, mixture: Mixture) -> Estimates:
        """Separate songs: (batch, channels, samples) -> (batch, stems, channels, samples)."""
        spectrum = self.stft(mixture)
        magnitudes = self.magnitudes(spectrum.abs())
        return self.stft.inverse(self.refine(magnitudes, spectrum), mixture.shape[-1])

    def magnitudes(self, mixture: Float[Tensor, "b c f n"]) -> Float[Tensor, "b s c f n"]:
        """Magnitudes of the mixture to those of the stems."""
        estimates: Tensor = self.nets(mixture)
        return estimates

    def refine(
        self, magnitudes: Float[Tensor, "b s c f n"], mixture: Complex[Tensor, "b c f n"]
    ) -> Complex[Tensor, "b s2 c f n"]:
        """Phases for the magnitudes: the mixture's in training, the Wiener filter's after it."""
        if self.training:
            return with_mixture_phase(magnitudes, mixture)
        return self.filter(magnitudes, mixture)
