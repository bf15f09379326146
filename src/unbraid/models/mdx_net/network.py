"""KUIELAB-MDX-Net: a TFC-TDF U-Net for each stem, each with an STFT of its own, and a mixer.

    mixture ─┬─ STFT 16384, lowest 2048 bins ─► U-Net, bass   ─ inverse STFT ─┐
             ├─ STFT  4096, lowest 2048 bins ─► U-Net, drums  ─ inverse STFT ─┤
             ├─ STFT  8192, lowest 2048 bins ─► U-Net, other  ─ inverse STFT ─┼─ linear ── stems
             ├─ STFT  6144, lowest 2048 bins ─► U-Net, vocals ─ inverse STFT ─┤   mixer
             └────────────────────────────────────────────────────────────────┘

    U-Net: conv 1 · BN · ReLU ─ block ─────────────────────────────── × ─ block ─ conv 1
                                   │ conv 2x2, stride 2                ▲ transposed conv 2x2
                                   └── block, 32 features more ─ × ─ block
                                         ┊  five levels          ▲
                                         └──────── block ────────┘
    block: y = 3 convolutions 3x3 · BN · ReLU ;  y + TDF(y)

Features grow from level to level, and skips are multiplied rather than joined.
Source: Kim, Choi, Chung, Lee, Jung, "KUIELab-MDX-Net: A Two-Stream Neural Network for Music
Demixing", MDX workshop at ISMIR 2021, arXiv:2111.12203.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from unbraid.models.layers.batch_norm import BatchNorm2d
from unbraid.models.layers.lengths import next_multiple, pad_end
from unbraid.models.layers.plain_stft import PlainSTFT
from unbraid.models.layers.stft import pack_complex, unpack_complex
from unbraid.models.layers.tfc_tdf import TDF, Maps, PlainTFC
from unbraid.models.mdx_net.config import MDXNetConfig
from unbraid.models.system import System
from unbraid.shapes import Estimates, Float, Mixture


class Block(nn.Module):
    """Convolutions, then what layers along frequency add."""

    def __init__(self, config: MDXNetConfig, width: int, freq: int) -> None:
        super().__init__()
        self.tfc = PlainTFC(width, width, config.layers, config.kernel)
        factor = config.bottleneck_factor
        middle = freq // factor if factor > 1 else 0
        self.tdf = TDF(width, freq, middle, bias=config.bias) if factor else None

    def forward(self, x: Maps) -> Maps:
        """(b c n f) -> the same."""
        y: Tensor = self.tfc(x)
        if self.tdf is None:
            return y
        total: Tensor = y + self.tdf(y)
        return total


def _resize(conv: nn.Module, width: int) -> nn.Sequential:
    return nn.Sequential(conv, BatchNorm2d(width), nn.ReLU())


class MDXUNet(nn.Module):
    """Real and imaginary parts of the mixture to those of a stem, (b c f n) -> (b c f n)."""

    def __init__(self, config: MDXNetConfig) -> None:
        super().__init__()
        channels, levels = 2 * config.audio_channels, range(config.levels)
        widths = [config.width * (level + 1) for level in range(config.levels + 1)]
        rows = [config.bins // 2**level for level in range(config.levels + 1)]
        self.first = _resize(nn.Conv2d(channels, config.width, 1), config.width)
        self.encoders = nn.ModuleList(Block(config, widths[i], rows[i]) for i in levels)
        self.downs = nn.ModuleList(
            _resize(nn.Conv2d(widths[i], widths[i + 1], 2, 2), widths[i + 1]) for i in levels
        )
        self.middle = Block(config, widths[-1], rows[-1])
        self.ups = nn.ModuleList(
            _resize(nn.ConvTranspose2d(widths[i + 1], widths[i], 2, 2), widths[i])
            for i in reversed(levels)
        )
        self.decoders = nn.ModuleList(Block(config, widths[i], rows[i]) for i in reversed(levels))
        self.last = nn.Conv2d(config.width, channels, 1)

    def forward(self, spectrum: Float[Tensor, "b c f n"]) -> Float[Tensor, "b c f n"]:
        """The U-Net of the figure."""
        x, skips = self.first(spectrum).mT, []
        for block, down in zip(self.encoders, self.downs, strict=True):
            x = block(x)
            skips.append(x)
            x = down(x)
        x = self.middle(x)
        for up, block in zip(self.ups, self.decoders, strict=True):
            x = block(up(x) * skips.pop())
        estimate: Tensor = self.last(x.mT)
        return estimate


class MDXNet(System):
    """A U-Net for each stem, and a mixer. (b c t) -> (b s c t) for any t >= 1."""

    config: MDXNetConfig

    def __init__(self, config: MDXNetConfig) -> None:
        super().__init__()
        self.config = config
        self.stfts = nn.ModuleList(PlainSTFT(n_fft, config.hop) for n_fft in config.n_ffts)
        self.nets = nn.ModuleList(MDXUNet(config) for _ in config.stems)
        self.mixer = None
        if config.mixer:
            outputs = len(config.stems) * config.audio_channels
            self.mixer = nn.Linear(outputs + config.audio_channels, outputs, bias=False)
            with torch.no_grad():  # starts by changing nothing
                self.mixer.weight.copy_(torch.eye(*self.mixer.weight.shape))

    def valid_samples(self, samples: int) -> int:
        """The next length whose frames can be halved at every level."""
        frames = next_multiple(-(-samples // self.config.hop) + 1, 2**self.config.levels)
        return self.config.hop * (frames - 1)

    def forward(self, mixture: Mixture) -> Estimates:
        """Separate songs: (batch, channels, samples) -> (batch, stems, channels, samples)."""
        samples = mixture.shape[-1]
        padded = pad_end(mixture, self.valid_samples(samples))
        estimates = torch.stack([self.stem(i, padded) for i in range(len(self.nets))], dim=1)
        return self.mix(estimates[..., :samples], mixture)

    def stem(self, index: int, mixture: Float[Tensor, "b c t"]) -> Float[Tensor, "b c t"]:
        """What the network of a stem estimates, without the mixer."""
        stft, bins = self.stfts[index], self.config.bins
        estimate = self.nets[index](pack_complex(stft(mixture)[..., :bins, :]))
        missing = self.config.n_ffts[index] // 2 + 1 - bins
        z = F.pad(unpack_complex(estimate), (0, 0, 0, missing))
        return stft.inverse(z, mixture.shape[-1])  # type: ignore[no-any-return, operator]

    def mix(
        self, estimates: Float[Tensor, "b s c t"], mixture: Float[Tensor, "b c t"]
    ) -> Float[Tensor, "b s c t"]:
        """All estimates and the mixture, combined sample by sample."""
        if self.mixer is None:
            return estimates
        parts = torch.cat([estimates, mixture[:, None]], dim=1)
        mixed: Tensor = self.mixer(rearrange(parts, "b s c t -> b t (s c)"))
        return rearrange(mixed, "b t (s c) -> b s c t", c=mixture.shape[1])
