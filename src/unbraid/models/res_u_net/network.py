"""ResUNetDecouple+: a deep residual U-Net that gives magnitude and phase of a stem apart.

    mixture ── STFT ──┬── |X| ── BN of each bin ── U-Net ── four maps m0 ... m3
                      │                              │
                      │      magnitude: |Y| = ReLU(|X| · sigmoid(m0) + m3)
                      └─────► phase:     ∠Y = ∠X + direction of (tanh m1, tanh m2)
                                                     │
                                                inverse STFT ── stem

    U-Net: 6 levels of 4 residual blocks and a mean over 2 x 2 (the last: over frequency alone),
           4 levels of 384 features, and back up, with concatenated skips

So the magnitude may exceed the mixture's, and the phase differ from it.
Source: Kong, Cao, Liu, Choi, Wang, "Decoupling Magnitude and Phase Estimation with Deep ResUNet
for Music Source Separation", ISMIR 2021, arXiv:2109.05418.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from unbraid.models.layers.batch_norm import BatchNorm2d
from unbraid.models.layers.lengths import next_multiple
from unbraid.models.layers.plain_stft import PlainSTFT
from unbraid.models.layers.stem_nets import StemNets
from unbraid.models.res_u_net.config import ResUNetConfig
from unbraid.models.system import System
from unbraid.shapes import Complex, Estimates, Float, Mixture

MAPS = 4
"""Maps for each channel of each stem."""
_EPSILON = 1e-10
_MOMENTUM = 0.01

Maps = Float[Tensor, "b _ _ _"]


def _norm(width: int) -> BatchNorm2d:
    return BatchNorm2d(width, momentum=_MOMENTUM)


class ResidualBlock(nn.Module):
    """x + two convolutions of it, each after a norm and a leaky ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.bn1, self.bn2 = _norm(inputs), _norm(outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Maps) -> Maps:
        """(b inputs n f) -> (b outputs n f)."""
        y = self.conv1(F.leaky_relu(self.bn1(x), 0.01))
        y = self.conv2(F.leaky_relu(self.bn2(y), 0.01))
        total: Tensor = self.shortcut(x) + y
        return total


class Level(nn.Sequential):
    """Residual blocks, one after the other."""

    def __init__(self, inputs: int, outputs: int, blocks: int) -> None:
        super().__init__(
            *(ResidualBlock(outputs if index else inputs, outputs) for index in range(blocks))
        )


class UpLevel(nn.Module):
    """Norm · ReLU · transposed convolution, then blocks on [that, skip]."""

    def __init__(self, inputs: int, outputs: int, pool: tuple[int, int], blocks: int) -> None:
        super().__init__()
        self.bn1 = _norm(inputs)
        self.conv1 = nn.ConvTranspose2d(inputs, outputs, pool, pool, bias=False)
        self.blocks = Level(2 * outputs, outputs, blocks)

    def forward(self, x: Maps, skip: Maps) -> Maps:
        """(b inputs n f) -> (b outputs n' f') of the skip's size."""
        x = self.conv1(self.bn1(x).relu())
        y: Tensor = self.blocks(torch.cat([x, skip], dim=1))
        return y


class ResUNetCore(nn.Module):
    """Magnitudes of the mixture to `MAPS` maps for each channel of each stem."""

    def __init__(self, config: ResUNetConfig, stems: int) -> None:
        super().__init__()
        self.config = config
        channels, widths, blocks = config.audio_channels, list(config.widths), config.blocks
        self.pools = [(2 if i < config.time_levels else 1, 2) for i in range(len(widths))]
        self.bn0 = _norm(config.n_fft // 2 + 1)
        inputs = [channels, *widths[:-1]]
        self.down = nn.ModuleList(Level(*ends, blocks) for ends in zip(inputs, widths, strict=True))
        deepest = widths[-1]
        self.middle = nn.Sequential(
            *(Level(deepest, deepest, blocks) for _ in range(config.middle))
        )
        inside = [*widths[1:], deepest]
        self.up = nn.ModuleList(
            UpLevel(inside[i], widths[i], self.pools[i], blocks)
            for i in reversed(range(len(widths)))
        )
        self.after = Level(widths[0], widths[0], blocks)
        self.last = nn.Conv2d(widths[0], stems * channels * MAPS, 1)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.xavier_uniform_(module.weight)

    def forward(self, magnitudes: Float[Tensor, "b c n f"]) -> Float[Tensor, "b m n f"]:
        """The U-Net; the highest bin passes by it and gets zeros."""
        frames = magnitudes.shape[2]
        x = self.bn0(magnitudes.transpose(1, 3)).transpose(1, 3)
        whole = next_multiple(frames, 2**self.config.time_levels)
        x = F.pad(x, (0, -1, 0, whole - frames))

        skips = []
        for level, pool in zip(self.down, self.pools, strict=True):
            x = level(x)
            skips.append(x)
            x = F.avg_pool2d(x, pool)
        x = self.middle(x)
        for level in self.up:
            x = level(x, skips.pop())
        x = self.last(self.after(x))

        return F.pad(x, (0, 1, 0, frames - whole))


class ResUNet(System):
    """Magnitude and phase by a residual U-Net. (b c t) -> (b s c t) for any t >= 1."""

    config: ResUNetConfig

    def __init__(self, config: ResUNetConfig) -> None:
        super().__init__()
        self.config = config
        self.stft = PlainSTFT(config.n_fft, config.hop)
        stems = len(config.stems)
        nets, each = (1, stems) if config.joint else (stems, 1)
        self.nets: StemNets[ResUNetCore] = StemNets(lambda _: ResUNetCore(config, each), nets)

    def forward(self, mixture: Mixture) -> Estimates:
        """Separate songs: (batch, channels, samples) -> (batch, stems, channels, samples)."""
        spectrum = self.stft(mixture)
        magnitudes = modulus(spectrum)
        x = rearrange(magnitudes, "b c f n -> b c n f")
        maps = self.nets(x).flatten(1, 2)
        maps = rearrange(maps, "b (s c m) n f -> m b s c f n", c=mixture.shape[1], m=MAPS)
        return self.stft.inverse(self.leave(maps, spectrum, magnitudes), mixture.shape[-1])

    def leave(
        self,
        maps: Float[Tensor, "m b s c f n"],
        mixture: Complex[Tensor, "b c f n"],
        magnitudes: Float[Tensor, "b c f n"],
    ) -> Complex[Tensor, "b s c f n"]:
        """Maps to spectrograms of the stems."""
        mask, cosine, sine, more = maps.to(magnitudes.dtype)  # complex numbers have no bfloat16
        magnitude = (magnitudes[:, None] * mask.sigmoid() + more).relu()
        cosine, sine = cosine.tanh(), sine.tanh()
        length = (cosine.square() + sine.square()).clamp(min=_EPSILON**2).sqrt()
        turn = torch.complex(cosine / length, sine / length)
        estimates: Tensor = magnitude * turn * (mixture / magnitudes)[:, None]
        return estimates


def modulus(z: Complex[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """Magnitude, at least 1e-5, with a gradient everywhere."""
    return torch.view_as_real(z).square().sum(-1).clamp(min=_EPSILON).sqrt()
