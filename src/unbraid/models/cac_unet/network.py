"""The CaC TFC-TDF U-Net: complex spectrogram in, complex spectrogram of a stem out, no mask.

    mixture ── STFT ── real and imaginary parts as channels ──┬─► U-Net, vocals ─┐
                                                              ├─► U-Net, drums  ─┤── inverse STFT
                                                              ├─► U-Net, bass   ─┤
                                                              └─► U-Net, other  ─┘
    block: y = TFC(x) ;  y + TDF(y)
      TFC: 5 convolutions 3x3 · BN · ReLU over time and frequency, densely connected
      TDF: linear along frequency, 16 times narrower in the middle · BN · ReLU, twice

`layers/cac_unet.py` has the U-Net.
Source: Choi, Kim, Chung, Lee, Jung, "Investigating U-Nets with various Intermediate Blocks for
Spectrogram-based Singing Voice Separation", ISMIR 2020, arXiv:1912.02591.
"""

from __future__ import annotations

from torch import Tensor, nn

from unbraid.models.cac_unet.config import CacUNetConfig
from unbraid.models.layers.cac_unet import CacCore
from unbraid.models.layers.lengths import next_multiple, pad_end
from unbraid.models.layers.parts_first import pack_parts_first, unpack_parts_first
from unbraid.models.layers.plain_stft import PlainSTFT
from unbraid.models.layers.stem_nets import StemNets
from unbraid.models.layers.tfc_tdf import TDF, DenseTFC, Maps
from unbraid.models.system import System
from unbraid.shapes import Estimates, Float, Mixture


class Block(nn.Module):
    """Dense convolutions, then what layers along frequency add."""

    def __init__(self, config: CacUNetConfig, inputs: int, freq: int) -> None:
        super().__init__()
        bottleneck = max(freq // config.bottleneck_factor, config.least_bottleneck)
        self.tfc = DenseTFC(inputs, config.width, config.layers, config.kernel)
        self.tdf = TDF(config.width, freq, bottleneck, bias=config.bias, affine=config.bias)

    def forward(self, x: Maps) -> Maps:
        """(b c n f) -> (b width n f)."""
        y: Tensor = self.tfc(x)
        added: Tensor = self.tdf(y)
        return y + added


class CacUNet(System):
    """A U-Net for each stem on the complex spectrogram. (b c t) -> (b s c t) for any t >= 1."""

    config: CacUNetConfig

    def __init__(self, config: CacUNetConfig) -> None:
        super().__init__()
        self.config = config
        self.stft = PlainSTFT(config.n_fft, config.hop)
        self.nets: StemNets[CacCore] = StemNets(
            lambda _: CacCore(
                2 * config.audio_channels,
                config.width,
                config.levels,
                config.n_fft // 2 + 1,
                lambda inputs, freq: Block(config, inputs, freq),
            ),
            len(config.stems),
        )

    def valid_samples(self, samples: int) -> int:
        """The next length whose frames can be halved at every level."""
        frames = next_multiple(-(-samples // self.config.hop) + 1, 2**self.config.levels)
        return self.config.hop * (frames - 1)

    def forward(self, mixture: Mixture) -> Estimates:
        """Separate songs: (batch, channels, samples) -> (batch, stems, channels, samples)."""
        samples = mixture.shape[-1]
        spectrum = self.stft(pad_end(mixture, self.valid_samples(samples)))
        estimates = self.network(pack_parts_first(spectrum))
        return self.stft.inverse(unpack_parts_first(estimates), samples)

    def network(self, spectrum: Float[Tensor, "b c n f"]) -> Float[Tensor, "b s c n f"]:
        """Real and imaginary parts of the mixture to those of each stem."""
        estimates: Tensor = self.nets(spectrum)
        return estimates
