"""Masks over stems from a U-Net along frequency, with memory along time.

    mixture (b c t)
      | STFT                                    spectrum (b c bins n)
      | power of each band, its logarithm       features (b c+3 f n)
      v
    enter -> level 0 ------------------------------ + -> level 0 -> softmax: masks (b s c f n)
             | half the bands                       ^
             level 1 ---------------------- + -> level 1
                | half the bands            ^
                level 2 ------------ + -> level 2
                   | half the bands  ^
                   level 3 -> GRU -> level 3

    level: x + conv 3x3 (ReLU (conv 3x3 (x))), then x + dense(ReLU(dense(x))) over all bands

The masks of the stems sum to one, so the estimates sum to the mixture. A bin's mask is interpolated
between the middles of bands. Dense layers over the bands: Choi et al., ISMIR 2020
(arXiv:1912.02591), and Kim et al., arXiv:2111.12203. Every batch normalization follows a
convolution, so it can be folded into its weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unbraid.models.band_unet.config import BandUNetConfig
from unbraid.models.network import BandErrors, GraphEnds, Network, no_graph
from unbraid.shapes import Estimates, Mixture, Sources

FLOOR = 1e-4
"""Power added to bands before the logarithm, relative to the mean power of all bands."""
AROUND = 17
"""Frames and bands over which a band's logarithm is averaged to compare it with: odd."""


class BandUNet(Network):
    """Splits a mixture into stems by masks on its spectrogram.

    Args:
        config: sizes.
    """

    def __init__(self, config: BandUNetConfig) -> None:
        super().__init__()
        self.config = config
        channels, bands = config.channels, config.bands
        features = feature_count(config.audio_channels)
        sizes = [bands, bands // 2, bands // 4, bands // 8]
        self.scale = nn.Parameter(torch.ones(features, bands, 1))
        self.shift = nn.Parameter(torch.zeros(features, bands, 1))
        self.enter = _normed(nn.Conv2d(features, channels[0], 3, padding=1, bias=False))
        levels = list(zip(channels, sizes, strict=True))
        self.encoder = nn.ModuleList(Level(c, f, config.dense) for c, f in levels)
        self.decoder = nn.ModuleList(Level(c, f, config.dense) for c, f in levels)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for upper, lower in pairwise(channels):
            down = nn.Conv2d(upper, lower, (2, 1), (2, 1), bias=False)
            up = nn.ConvTranspose2d(lower, upper, (2, 1), (2, 1), bias=False)
            self.down.append(_normed(down))
            self.up.append(_normed(up))
        self.memory = Memory(channels[-1], sizes[-1], config.hidden)
        self.leave = nn.Conv2d(channels[0], len(config.stems) * config.audio_channels, 1)

    def forward(self, mixture: Mixture) -> Estimates:
        """Separate: (b c t) -> (b s c t), any t >= 1."""
        spectrum = stft(mixture, self.config.n_fft)
        masks = self.masks(band_powers(spectrum, self.config.edges))
        shares = to_bins(masks, self.config.edges)
        return istft(shares * spectrum[:, None], self.config.n_fft, mixture.shape[-1])

    def band_errors(self, sources: Sources) -> BandErrors:
        """Errors of masks that are constant within a band: (b s c t), any t >= 1.

        Of a mask m the error is |m z - s|^2 = m^2 |z|^2 - 2 m Re(z s*) + |s|^2, whose sums over a
        band do not depend on m: no inverse transform, and no gradient per bin.
        """
        edges, n_fft = self.config.edges, self.config.n_fft
        with torch.no_grad():
            spectra = stft(sources, n_fft)
            mixture = spectra.sum(1)
            powers = band_powers(mixture, edges)
            both = _banded(_real_product(mixture[:, None], spectra), edges)
            own = _banded(_real_product(spectra, spectra), edges)
        masks = self.masks(powers)
        error = masks.square() * powers.own[:, None] - 2 * masks * both + own
        scale = 2 / (n_fft * sources.shape[-1])  # Parseval, for the one side that is kept
        return BandErrors(error * scale, powers.own * scale)

    def graph_ends(self, mixture: Tensor) -> GraphEnds:
        """Refuse: exported graphs do not support its half-overlapping frames."""
        raise no_graph("its masks are of a spectrogram that exported graphs do not compute")

    def masks(self, powers: BandPowers) -> Tensor:
        """Shares of the stems in each band: (b s c f n), 0 to 1, that sum to 1 over s."""
        x = F.relu(self.enter(features(powers) * self.scale + self.shift))
        skips = []
        for level, down in zip(self.encoder[:-1], self.down, strict=True):
            skips.append(level(x))
            x = F.relu(down(skips[-1]))
        x = self.decoder[-1](self.memory(self.encoder[-1](x)))
        for number in (2, 1, 0):
            x = self.decoder[number](F.relu(self.up[number](x)) + skips[number])
        stems, channels = len(self.config.stems), self.config.audio_channels
        result: Tensor = self.leave(x).unflatten(1, (stems, channels)).softmax(1)
        return result


class Level(nn.Module):
    """(b c f n) -> the same shape: two convolutions, then two dense layers over the bands."""

    def __init__(self, channels: int, bands: int, dense: int) -> None:
        super().__init__()
        units = max(4, bands // dense)
        self.first = _normed(nn.Conv2d(channels, channels, 3, padding=1, bias=False))
        self.second = _normed(nn.Conv2d(channels, channels, 3, padding=1, bias=False))
        self.narrow, self.widen = nn.Linear(bands, units), nn.Linear(units, bands)

    def forward(self, x: Tensor) -> Tensor:
        """One level."""
        x = x + self.second(F.relu(self.first(x)))
        across = self.widen(F.relu(self.narrow(x.transpose(2, 3))))
        result: Tensor = x + across.transpose(2, 3)
        return result


class Memory(nn.Module):
    """(b c f n) -> the same shape: a recurrent layer along time, both ways, over all bands."""

    def __init__(self, channels: int, bands: int, hidden: int) -> None:
        super().__init__()
        self.read = nn.Linear(channels * bands, hidden)
        self.gru = nn.GRU(hidden, hidden, batch_first=True, bidirectional=True)
        self.write = nn.Linear(2 * hidden, channels * bands)

    def forward(self, x: Tensor) -> Tensor:
        """Add what the past and the future say."""
        frames = x.flatten(1, 2).transpose(1, 2)
        heard, _ = self.gru(F.relu(self.read(frames)))
        result: Tensor = x + self.write(heard).transpose(1, 2).unflatten(1, x.shape[1:3])
        return result


def _normed(layer: nn.Module) -> nn.Sequential:
    channels = layer.out_channels
    return nn.Sequential(layer, nn.BatchNorm2d(int(channels)))  # type: ignore[arg-type]


@dataclass(frozen=True)
class BandPowers:
    """What the network reads of a spectrogram.

    Attributes:
        own: power of each channel, (b c f n).
        shared: real part of left times the conjugate of right, (b f n); None unless stereo.
    """

    own: Tensor
    shared: Tensor | None


def feature_count(channels: int) -> int:
    """Planes of `features`."""
    return channels + 2 + (channels == 2)


def features(powers: BandPowers) -> Tensor:
    """(b c+3 f n): each channel's logarithm, that of both against its surroundings, and width.

    The logarithm of both channels' power is compared with its mean over frames around it (what
    lasts) and bands around it (what is struck): the two views that median filters separate
    (Fitzgerald, DAFx 2010). Width is the correlation of the channels.
    """
    mean = powers.own.mean((1, 2, 3), keepdim=True) + 1e-20
    loud = (powers.own / mean + FLOOR).log() * 0.5
    both = powers.own.mean(1, keepdim=True)
    level = (both / mean + FLOOR).log() * 0.5
    planes = [loud, level - _around(level, 3), level - _around(level, 2)]
    if powers.shared is not None:
        sizes = (powers.own[:, :1] * powers.own[:, 1:]).sqrt()
        planes.append(powers.shared[:, None] / (sizes + FLOOR * mean))
    return torch.cat(planes, 1)


def _around(level: Tensor, axis: int) -> Tensor:
    kernel, padding = [1, 1], [0, 0]
    kernel[axis - 2], padding[axis - 2] = AROUND, AROUND // 2
    return F.avg_pool2d(level, kernel, 1, padding, count_include_pad=False)


def stft(signal: Tensor, n_fft: int) -> Tensor:
    """(... t) -> (... bins n): frame i is centred on sample i * n_fft / 2; zeros around.

    Half-overlapping frames under a sine window, which `istft` applies again.
    """
    hop = n_fft // 2
    padded = F.pad(signal, (hop, hop + -signal.shape[-1] % hop))
    frames = padded.unfold(-1, n_fft, hop) * _window(n_fft, signal)
    result: Tensor = torch.fft.rfft(frames).transpose(-1, -2)
    return result


def istft(spectrum: Tensor, n_fft: int, samples: int) -> Tensor:
    """Inverse of `stft`: (... bins n) -> (... samples)."""
    frames = torch.fft.irfft(spectrum.transpose(-1, -2), n_fft)
    early, late = (frames * _window(n_fft, frames)).chunk(2, dim=-1)
    total = early[..., 1:, :] + late[..., :-1, :]
    result: Tensor = total.flatten(-2)[..., :samples]
    return result


def _window(n_fft: int, like: Tensor) -> Tensor:
    middles = torch.arange(n_fft, dtype=like.dtype, device=like.device) + 0.5
    return torch.sin(torch.pi * middles / n_fft)


def band_powers(spectrum: Tensor, edges: Sequence[int]) -> BandPowers:
    """Sums over the bins of each band: spectrum (b c bins n), bands between `edges`."""
    own = _banded(torch.view_as_real(spectrum).square().sum(-1), edges)
    if spectrum.shape[1] != 2:
        return BandPowers(own, None)
    left, right = torch.view_as_real(spectrum).unbind(1)
    return BandPowers(own, _banded((left * right).sum(-1), edges))


def _real_product(a: Tensor, b: Tensor) -> Tensor:
    """Real part of a times the conjugate of b."""
    return torch.addcmul(a.real * b.real, a.imag, b.imag)


def _banded(bins: Tensor, edges: Sequence[int]) -> Tensor:
    at = torch.tensor(edges, device=bins.device)
    band = torch.repeat_interleave(torch.arange(len(edges) - 1, device=bins.device), at.diff())
    out = bins.new_zeros((*bins.shape[:-2], len(edges) - 1, bins.shape[-1]))
    return out.index_add_(-2, band, bins)


def to_bins(masks: Tensor, edges: Sequence[int]) -> Tensor:
    """(... f n) -> (... bins n): interpolated between the middles of bands."""
    at = torch.tensor(edges, dtype=masks.dtype, device=masks.device)
    middles = (at[:-1] + at[1:] - 1) / 2
    bins = torch.arange(edges[-1], dtype=masks.dtype, device=masks.device)
    above = torch.searchsorted(middles, bins).clamp(1, len(middles) - 1)
    weight = (bins - middles[above - 1]) / (middles[above] - middles[above - 1])
    weight = weight.clamp(0, 1)[:, None]
    return masks[..., above - 1, :] * (1 - weight) + masks[..., above, :] * weight
