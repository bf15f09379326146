"""TFC-TDF v3: a U-Net of convolutions over both axes and linear maps over frequency.

    mixture ── STFT, real and imaginary parts, the lower bins, subbands as channels
       │              (4 * subbands) x n x f
       │  first_conv          width x n x f ─────────────── gate
       │  encoder_blocks, each level half as long on both axes, `growth` wider
       │    bottleneck_block
       │  decoder_blocks, mirrored; skips are joined as channels
       │                      width x n x f ── times the gate
       └── final_conv of the mixture's subbands and this ── spectrograms of the stems

Names of the parts are those of the published weights. Source: arXiv:2306.09382.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from unbraid.models.layers.plain_stft import PlainSTFT
from unbraid.models.layers.stft import pack_complex, unpack_complex
from unbraid.models.network import GraphEnds, Network, no_graph
from unbraid.models.tfc_tdf.config import TFCTDFConfig
from unbraid.shapes import Estimates, Float, Mixture

Map = Float[Tensor, "b c n f"]
"""Features: time before frequency."""


class TFCTDF(Network):
    """TFC-TDF v3. (b c t) -> (b s c t) for any t >= 1."""

    def __init__(self, config: TFCTDFConfig) -> None:
        super().__init__()
        self.config = config
        self.stft = PlainSTFT(config.n_fft, config.hop)
        parts = 2 * config.audio_channels * config.subbands
        width, levels = config.width, range(config.scales)
        self.first_conv = nn.Conv2d(parts, width, 1, bias=False)
        self.encoder_blocks = nn.ModuleList(EncoderLevel(config, level) for level in levels)
        self.bottleneck_block = Blocks(config, config.level_width(config.scales), config.scales)
        self.decoder_blocks = nn.ModuleList(
            DecoderLevel(config, level) for level in reversed(levels)
        )
        self.final_conv = nn.Sequential(
            nn.Conv2d(parts + width, width, 1, bias=False),
            _activation(config),
            nn.Conv2d(width, parts * len(config.stems), 1, bias=False),
        )

    def valid_samples(self, samples: int) -> int:
        """The next length whose frames halve on every level."""
        found: int = self.config.valid_samples(samples)
        return found

    def forward(self, mixture: Mixture) -> Estimates:
        """Separate songs: (batch, channels, samples) -> (batch, stems, channels, samples)."""
        samples, used = mixture.shape[-1], self.config.used_bins
        padded = F.pad(mixture, (0, self.valid_samples(samples) - samples))
        spectrum = self.stft(padded)
        stems = unpack_complex(self.network(pack_complex(spectrum[:, :, :used])))
        stems = F.pad(stems, (0, 0, 0, spectrum.shape[2] - used))
        return self.stft.inverse(stems, padded.shape[-1])[..., :samples]

    def graph_ends(self, mixture: Tensor) -> GraphEnds:
        """Not yet: its transform has frames that the graph of an export has not."""
        raise no_graph("a TFC-TDF runs in unbraid alone so far")

    def network(self, x: Float[Tensor, "b p f n"]) -> Float[Tensor, "b s p f n"]:
        """Everything between the STFT and its inverse, in real numbers."""
        subbands = self.config.subbands
        mixture = rearrange(x, "b p (k f) n -> b (p k) n f", k=subbands)
        gate = x = self.first_conv(mixture)
        skips = []
        for encoder in self.encoder_blocks:
            x, skip = encoder(x)
            skips.append(skip)
        x = self.bottleneck_block(x)
        for decoder in self.decoder_blocks:
            x = decoder(x, skips.pop())
        x = self.final_conv(torch.cat([mixture, x * gate], dim=1))
        stems = len(self.config.stems)
        return rearrange(x, "b (s p k) n f -> b s p (k f) n", s=stems, k=subbands)


class EncoderLevel(nn.Module):
    """Blocks, then half the resolution. Gives its output, and the skip for the decoder."""

    def __init__(self, config: TFCTDFConfig, level: int) -> None:
        super().__init__()
        width = config.level_width(level)
        scale = config.scale_time, config.scale_frequency
        self.tfc_tdf = Blocks(config, width, level)
        self.downscale = Rescale(
            config, width, nn.Conv2d(width, width + config.growth, scale, scale, bias=False)
        )

    def forward(self, x: Map) -> tuple[Float[Tensor, "b c2 n2 f2"], Map]:
        """One level down."""
        skip = self.tfc_tdf(x)
        return self.downscale(skip), skip


class DecoderLevel(nn.Module):
    """Twice the resolution, the skip as further channels, blocks."""

    def __init__(self, config: TFCTDFConfig, level: int) -> None:
        super().__init__()
        width = config.level_width(level)
        scale, inner = (config.scale_time, config.scale_frequency), width + config.growth
        self.upscale = Rescale(
            config, inner, nn.ConvTranspose2d(inner, width, scale, scale, bias=False)
        )
        self.tfc_tdf = Blocks(config, 2 * width, level, out=width)

    def forward(self, x: Map, skip: Float[Tensor, "b c2 n2 f2"]) -> Float[Tensor, "b c2 n2 f2"]:
        """One level up."""
        return self.tfc_tdf(torch.cat([self.upscale(x), skip], dim=1))  # type: ignore[no-any-return]


class Rescale(nn.Module):
    """Norm, activation, a convolution that changes the resolution."""

    def __init__(self, config: TFCTDFConfig, width: int, conv: nn.Module) -> None:
        super().__init__()
        self.conv = nn.Sequential(_norm(config, width), _activation(config), conv)

    def forward(self, x: Map) -> Float[Tensor, "b c2 n2 f2"]:
        """(batch, width, frames, freq) at the other resolution."""
        return self.conv(x)  # type: ignore[no-any-return]


class Blocks(nn.Module):
    """Blocks of a level, one after the other; the first may change the width."""

    def __init__(
        self, config: TFCTDFConfig, width: int, level: int, out: int | None = None
    ) -> None:
        super().__init__()
        out = out or width
        self.blocks = nn.ModuleList(
            Block(config, out if index else width, out, config.level_rows(level))
            for index in range(config.blocks)
        )

    def forward(self, x: Map) -> Float[Tensor, "b c2 n f"]:
        """Run all blocks."""
        for block in self.blocks:
            x = block(x)
        return x


class Block(nn.Module):
    """Convolution, a narrow pair of linear maps over frequency, convolution; a shortcut around."""

    def __init__(self, config: TFCTDFConfig, width: int, out: int, rows: int) -> None:
        super().__init__()
        inner = rows // config.bottleneck

        def before(features: int) -> list[nn.Module]:
            return [_norm(config, features), _activation(config)]

        self.tfc1 = nn.Sequential(*before(width), _conv(width, out))
        self.tdf = nn.Sequential(
            *before(out),
            nn.Linear(rows, inner, bias=False),
            *before(out),
            nn.Linear(inner, rows, bias=False),
        )
        self.tfc2 = nn.Sequential(*before(out), _conv(out, out))
        self.shortcut = nn.Conv2d(width, out, 1, bias=False)

    def forward(self, x: Map) -> Float[Tensor, "b c2 n f"]:
        """(batch, width, frames, freq) -> (batch, out, frames, freq)."""
        y = self.tfc1(x)
        y = self.tfc2(y + self.tdf(y))
        return y + self.shortcut(x)  # type: ignore[no-any-return]


def _conv(width: int, out: int) -> nn.Conv2d:
    return nn.Conv2d(width, out, 3, padding=1, bias=False)


def _norm(config: TFCTDFConfig, width: int) -> nn.Module:
    if config.norm == "instance":
        return nn.InstanceNorm2d(width, affine=True)
    if config.norm == "batch":
        return nn.BatchNorm2d(width)
    if config.norm == "group":
        return nn.GroupNorm(config.norm_groups, width)
    return nn.Identity()


def _activation(config: TFCTDFConfig) -> nn.Module:
    if config.activation == "elu":
        return nn.ELU(config.elu_alpha)
    return nn.GELU() if config.activation == "gelu" else nn.ReLU()
