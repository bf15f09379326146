"""SCNet: compress the bands of a spectrogram, the high ones most, and look along both axes.

    mixture ── STFT, real and imaginary parts               4 x 2049 x n
      encoder, three times: low, middle and high rows by convolutions of stride 1, 4, 16,
      residual modules over time; the bands in a row are the skip
                                      32 x 616, 64 x 186, 128 x 57
      separation_net: LSTMs over frequency, then over time; every second layer sees the
      Fourier transform of time instead of time
                                     128 x 57 x n, 256 x 57 x (n / 2 + 1)
      decoder, three times: add the skip, gate, each band back to its rows
    spectrograms of the stems                               inverse STFT

Names of the parts are those of the published weights. Source: arXiv:2401.13276, figure 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from unbraid.models.layers.plain_stft import PlainSTFT
from unbraid.models.layers.stft import pack_complex, unpack_complex
from unbraid.models.network import GraphEnds, Network, no_graph
from unbraid.models.scnet.config import SCNetConfig
from unbraid.models.scnet.paths import SeparationNet
from unbraid.models.spectral.parts import standardize
from unbraid.shapes import Estimates, Float, Mixture

Map = Float[Tensor, "b c f n"]
OtherMap = Float[Tensor, "b c2 f2 n"]
"""Other features, or other rows."""


class SCNet(Network):
    """Sparse compression network. (b c t) -> (b s c t) for any t >= 1."""

    def __init__(self, config: SCNetConfig) -> None:
        super().__init__()
        self.config = config
        self.stft = PlainSTFT(
            config.n_fft, config.hop, config.window, config.masks, config.normalized
        )
        widths, rows = config.widths, config.band_rows()
        parts = 2 * config.audio_channels
        if config.masks:
            self.pos_embed_f = nn.Parameter(torch.zeros(1, parts, config.n_fft // 2 + 1, 1))
            self.mask_layer = nn.Sequential(
                nn.Conv2d(parts * len(config.stems), 64, 3, padding=1),
                nn.GELU(),
                nn.Conv2d(64, parts * len(config.stems), 1),
            )
        levels = range(len(rows))
        self.encoder = nn.ModuleList(
            Encoder(config, widths[level], widths[level + 1], rows[level][0]) for level in levels
        )
        self.separation_net = SeparationNet(widths[-1], config.expansion, config.dual_paths)
        outer = [parts * len(config.stems), *widths[1:-1]]
        self.decoder = nn.ModuleList(
            nn.ModuleList(
                [
                    Fusion(widths[level + 1]),
                    BandExpansion(config, widths[level + 1], outer[level], *rows[level]),
                ]
            )
            for level in reversed(levels)
        )

    def forward(self, mixture: Mixture) -> Estimates:
        """Separate songs: (batch, channels, samples) -> (batch, stems, channels, samples)."""
        samples = mixture.shape[-1]
        padded = F.pad(mixture, (0, self._missing(samples)))
        spectrum = self.stft(padded)
        stems = unpack_complex(self.network(pack_complex(spectrum)))
        if self.config.masks:
            stems = stems * spectrum[:, None]
        return self.stft.inverse(stems, padded.shape[-1])[..., :samples]

    def network(self, x: Map) -> Float[Tensor, "b s p f n"]:
        """Everything between the STFT and its inverse, in real numbers."""
        if self.config.standardize:
            x, mean, std = standardize(x)
        if self.config.masks:
            x = x + self.pos_embed_f
        skips = []
        for encoder in self.encoder:
            x, skip = encoder(x)
            skips.append(skip)
        x = self.separation_net(x)
        for fuse, expand in cast("Iterable[Sequence[nn.Module]]", self.decoder):
            x = expand(fuse(x, skips.pop()))
        if self.config.masks:
            x = torch.tanh(self.mask_layer(x))
        if self.config.standardize:
            x = x * std + mean
        return rearrange(x, "b (s p) f n -> b s p f n", s=len(self.config.stems))

    def graph_ends(self, mixture: Tensor) -> GraphEnds:
        """Not yet: its transform has a window that the graph of an export has not."""
        raise no_graph("an SCNet runs in unbraid alone so far")

    def _missing(self, samples: int) -> int:
        """Zeros that make the number of frames even; at least one."""
        hop = self.config.hop
        hops = samples // hop + 1
        result: int = (hops + 1 - hops % 2) * hop - samples
        return result


class Encoder(nn.Module):
    """One level down. Gives its output, and the skip for the decoder."""

    def __init__(self, config: SCNetConfig, outer: int, width: int, rows: tuple[int, ...]) -> None:
        super().__init__()
        self.SDlayer = BandCompression(config, outer, width, rows)
        self.conv_modules = nn.ModuleList(
            ConvolutionModules(width, depth, config.compression, config.conv_kernel)
            for depth in config.band_depths
        )
        self.globalconv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Map) -> tuple[OtherMap, OtherMap]:
        """Compress each band, refine it over time, then look across the bands."""
        bands = [
            F.gelu(refine(band))
            for refine, band in zip(self.conv_modules, self.SDlayer(x), strict=True)
        ]
        skip = torch.cat(bands, dim=2)
        return self.globalconv(skip), skip


class BandCompression(nn.Module):
    """Each band by a strided convolution over frequency."""

    def __init__(self, config: SCNetConfig, outer: int, width: int, rows: tuple[int, ...]) -> None:
        super().__init__()
        self.rows = rows
        self.kernels, self.strides = config.band_kernels, config.band_strides
        self.convs = nn.ModuleList(
            nn.Conv2d(outer, width, (kernel, 1), (stride, 1))
            for kernel, stride in zip(self.kernels, self.strides, strict=True)
        )

    def forward(self, x: Map) -> list[Tensor]:
        """The three bands, each with ceil(rows / stride) rows."""
        bands = torch.split(x, list(self.rows), dim=2)
        return [conv(self._padded(i, bands[i])) for i, conv in enumerate(self.convs)]

    def _padded(self, band: int, x: Tensor) -> Tensor:
        kernel, stride, rows = self.kernels[band], self.strides[band], x.shape[2]
        total = kernel - 1 if stride == 1 else (-rows) % stride
        return F.pad(x, (0, 0, total // 2, total - total // 2))


class ConvolutionModules(nn.Module):
    """Modules over time, each added to its input; every frequency row is an item of its own."""

    def __init__(self, width: int, depth: int, compression: float, kernel: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_module(width, compression, kernel) for _ in range(depth))

    def forward(self, x: Map) -> Map:
        """Same shape."""
        rows = rearrange(x, "b c f n -> (b f) c n")
        for layer in self.layers:
            rows = rows + layer(rows)
        return rearrange(rows, "(b f) c n -> b c f n", b=x.shape[0])


def _module(width: int, compression: float, kernel: int) -> nn.Sequential:
    hidden = int(width / compression)
    return nn.Sequential(
        nn.GroupNorm(1, width),
        nn.Conv1d(width, 2 * hidden, kernel, padding=kernel // 2),
        nn.GLU(1),
        nn.Conv1d(hidden, hidden, kernel, padding=kernel // 2, groups=hidden),
        nn.GroupNorm(1, hidden),
        nn.SiLU(),
        nn.Conv1d(hidden, width, 1),
    )


class Fusion(nn.Module):
    """Add the skip, then a convolution with a gate."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2 * width, 2 * width, 3, padding=1)

    def forward(self, x: Map, skip: Map) -> Map:
        """Same shape."""
        return F.glu(self.conv((x + skip).repeat(1, 2, 1, 1)), dim=1)


class BandExpansion(nn.Module):
    """Each band back to the rows it had, by a transposed convolution."""

    def __init__(
        self,
        config: SCNetConfig,
        width: int,
        outer: int,
        before: tuple[int, ...],
        after: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.before, self.after = before, after
        self.convtrs = nn.ModuleList(
            nn.ConvTranspose2d(width, outer, (kernel, 1), (stride, 1))
            for kernel, stride in zip(config.band_kernels, config.band_strides, strict=True)
        )

    def forward(self, x: Map) -> OtherMap:
        """Bands in a row -> bands in a row, with more rows."""
        bands = zip(self.convtrs, torch.split(x, list(self.after), dim=2), self.before, strict=True)
        return torch.cat([_middle(expand(band), rows) for expand, band, rows in bands], dim=2)


def _middle(x: Tensor, rows: int) -> Tensor:
    start = (x.shape[2] - rows) // 2
    return x[:, :, start : start + rows]
