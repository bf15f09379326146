"""D3Net: densely connected blocks whose dilation depends on which layer they read.

    |mixture| ── scaled ──┬── low bins ──► U-Net ──┐
                          ├── others ────► U-Net ──┴ stacked along frequency ──┐
                          └── all bins ──► U-Net ──────────────────────────────┴ concat ─ D2 block
                                                                                          │
    |stem| ◄── ReLU ◄── scaled ◄── conv 1 · sigmoid(conv 1) ◄── BN ◄──────────────────────┘

    D2 block of depth 4, growth g:   conv of the input gives slots 0 1 2 3, g features each
        slots 1 2 3 += conv of slot 0, dilation 2
        slots   2 3 += conv of slot 1, dilation 4        and slot 3 is what the block gives
        slots     3 += conv of slot 2, dilation 8

So each skip enters with a dilation of its own and the receptive field has no holes. A D3 block is
the same with D2 blocks instead of convolutions. The magnitudes of all stems then pass one step of
the multichannel Wiener filter.
Source: Takahashi and Mitsufuji, "D3Net: Densely connected multidilated DenseNet for music source
separation", arXiv:2010.01733.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unbraid.models.d3net.config import Band, D3NetConfig
from unbraid.models.layers.batch_norm import BatchNorm2d
from unbraid.models.layers.lengths import pad_end
from unbraid.models.layers.plain_stft import PlainSTFT
from unbraid.models.layers.stem_nets import StemNets
from unbraid.models.layers.tfc_tdf import Maps
from unbraid.models.layers.wiener_em import filter_once, with_mixture_phase
from unbraid.models.system import System
from unbraid.shapes import Complex, Estimates, Float, Mixture


class DilatedLayer(nn.Module):
    """Norm, ReLU, convolution 3 x 3: (b c f n) -> (b c' f n)."""

    def __init__(self, inputs: int, outputs: int, dilation: int, epsilon: float) -> None:
        super().__init__()
        self.norm = BatchNorm2d(inputs, eps=epsilon)
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation)

    def forward(self, x: Maps) -> Maps:
        """Filter."""
        y: Tensor = self.conv(self.norm(x).relu())
        return y


class DenseBlock(nn.ModuleList):
    """Parts that each add to all slots after the one they read; the last slot comes out.

    Args:
        make: (index, features in, features out) -> a part.
        inputs, growth: features that come in, and of each slot.
        depth: number of parts.
    """

    def __init__(
        self, make: Callable[[int, int, int], nn.Module], inputs: int, growth: int, depth: int
    ) -> None:
        self.growth = growth
        super().__init__(
            make(index, growth if index else inputs, growth * (depth - index))
            for index in range(depth)
        )

    def forward(self, x: Maps) -> Maps:
        """(b c f n) -> (b growth f n)."""
        first, *parts = self
        slots: Tensor = first(x)
        for part in parts:
            slots = slots[:, self.growth :] + part(slots[:, : self.growth])
        return slots


class D2Block(DenseBlock):
    """Convolutions, of dilation 1, 2, 4, ..."""

    def __init__(self, inputs: int, growth: int, depth: int, epsilon: float) -> None:
        def layer(index: int, inputs: int, outputs: int) -> nn.Module:
            return DilatedLayer(inputs, outputs, 2**index, epsilon)

        super().__init__(layer, inputs, growth, depth)


class D3Block(DenseBlock):
    """D2 blocks."""

    def __init__(self, inputs: int, growth: int, depth: int, stages: int, epsilon: float) -> None:
        def block(_: int, inputs: int, outputs: int) -> nn.Module:
            return D2Block(inputs, outputs, depth, epsilon)

        super().__init__(block, inputs, growth, stages)


class UpBlock(nn.Module):
    """Norm · transposed convolution, then a D3 block on [that, skip]."""

    def __init__(self, inputs: int, skip: int, make: Callable[[int], nn.Module], eps: float):
        super().__init__()
        self.norm = BatchNorm2d(inputs, eps=eps)
        self.up = nn.ConvTranspose2d(inputs, inputs, 2, 2)
        self.block = make(inputs + skip)

    def forward(self, x: Maps, skip: Maps) -> Maps:
        """To the size of the skip, with zeros where halving an odd size left a row out."""
        x = self.up(self.norm(x))
        x = F.pad(x, (0, skip.shape[-1] - x.shape[-1], 0, skip.shape[-2] - x.shape[-2]))
        y: Tensor = self.block(torch.cat([x, skip], dim=1))
        return y


class D3UNet(nn.Module):
    """A U-Net of D3 blocks on a band, (b c f n) -> (b width' f n)."""

    def __init__(self, band: Band, channels: int, outputs: int, epsilon: float) -> None:
        super().__init__()
        levels, growths = band.levels, band.growths

        def block(index: int, inputs: int) -> D3Block:
            return D3Block(inputs, growths[index], band.depths[index], band.stages, epsilon)

        self.first = nn.Conv2d(channels, band.width, 3, padding=1)
        inputs = [band.width, *growths[:levels]]
        self.down = nn.ModuleList(block(index, inputs[index]) for index in range(levels))
        self.middle = block(levels, inputs[-1])
        self.up = nn.ModuleList(
            UpBlock(growths[index - 1], growths[2 * levels - index], partial(block, index), epsilon)
            for index in range(levels + 1, 2 * levels + 1)
        )
        self.match = None
        if growths[-1] != outputs:
            norm = BatchNorm2d(growths[-1], eps=epsilon)
            self.match = nn.Sequential(norm, nn.Conv2d(growths[-1], outputs, 1))

    def forward(self, x: Maps) -> Maps:
        """The way down, the middle, and the way up."""
        x, skips = self.first(x), []
        for block in self.down:
            x = block(x)
            skips.append(x)
            x = F.avg_pool2d(x, 2)
        x = self.middle(x)
        for block in self.up:
            x = block(x, skips.pop())
        return x if self.match is None else self.match(x)


class D3Core(nn.Module):
    """Magnitudes of the mixture to those of one stem, (b c f n) -> (b c f n)."""

    def __init__(self, config: D3NetConfig) -> None:
        super().__init__()
        self.bins, self.split = config.bins, config.split
        channels, epsilon = config.audio_channels, config.norm_epsilon
        low, rest, full = config.bands
        shared = max(low.growths[-1], rest.growths[-1])
        self.scale_in, self.bias_in = _parameter(self.bins, 1), _parameter(self.bins, 0)
        self.scale_out, self.bias_out = _parameter(self.bins, 1), _parameter(self.bins, 0)
        self.low = D3UNet(low, channels, shared, epsilon)
        self.rest = D3UNet(rest, channels, shared, epsilon)
        self.full = D3UNet(full, channels, full.growths[-1], epsilon)
        inputs = shared + full.growths[-1]
        self.final = D2Block(inputs, config.final_growth, config.final_depth, epsilon)
        self.norm = BatchNorm2d(config.final_growth, eps=epsilon)
        self.value = nn.Conv2d(config.final_growth, channels, 1)
        self.gate = nn.Conv2d(config.final_growth, channels, 1)

    def forward(self, mixture: Float[Tensor, "b c f n"]) -> Float[Tensor, "b c f n"]:
        """The figure, up to the magnitudes of the stem."""
        x = mixture[:, :, : self.bins] - self.bias_in[:, None]
        x = x / (self.scale_in.abs() + 1e-12)[:, None]
        parts = [self.low(x[:, :, : self.split]), self.rest(x[:, :, self.split :])]
        x = torch.cat([torch.cat(parts, dim=2), self.full(x)], dim=1)
        x = self.norm(self.final(x))
        x = self.value(x) * self.gate(x).sigmoid()
        x = (x * self.scale_out[:, None] + self.bias_out[:, None]).relu()
        return torch.cat([x, mixture[:, :, self.bins :]], dim=2)


def _parameter(size: int, value: float) -> nn.Parameter:
    return nn.Parameter(torch.full((size,), float(value)))


class D3Net(System):
    """Dense U-Nets on magnitudes, one set for each stem. (b c t) -> (b s c t), any t >= 1."""

    config: D3NetConfig

    def __init__(self, config: D3NetConfig) -> None:
        super().__init__()
        self.config = config
        self.stft = PlainSTFT(config.n_fft, config.hop)
        self.nets: StemNets[D3Core] = StemNets(lambda _: D3Core(config), len(config.stems))

    def valid_samples(self, samples: int) -> int:
        """The least length whose frames can be halved at every level; any longer one will do."""
        levels = max(band.levels for band in self.config.bands)
        return max(samples, self.config.hop * ((1 << levels) - 1))

    def forward(self, mixture: Mixture) -> Estimates:
        """Separate songs: (batch, channels, samples) -> (batch, stems, channels, samples)."""
        samples = mixture.shape[-1]
        spectrum = self.stft(pad_end(mixture, self.valid_samples(samples)))
        magnitudes = self.nets(spectrum.abs())
        return self.stft.inverse(self.refine(magnitudes, spectrum), samples)

    def refine(
        self, magnitudes: Float[Tensor, "b s c f n"], mixture: Complex[Tensor, "b c f n"]
    ) -> Complex[Tensor, "b s c f n"]:
        """Phases for the magnitudes: the mixture's, and one step of the Wiener filter."""
        stems = with_mixture_phase(magnitudes, mixture)
        if self.training or not self.config.wiener:
            return stems
        return filter_once(stems, mixture, floor=1e-10, diagonal=1e-5)
