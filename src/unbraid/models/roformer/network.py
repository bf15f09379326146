"""BS-RoFormer and Mel-Band RoFormer: bands of a spectrogram as tokens.

    mixture ── STFT ── bands ── a norm and a linear map for each band
                                          frames x bands x width
      depth times:
        along time       each band attends over its frames
        along frequency  each frame attends over its bands
                                          frames x bands x width
      for each stem:     a small network for each band makes its part of a complex mask
    spectrograms of the stems = masks x spectrogram of the mixture ── inverse STFT

The two differ in their bands (side by side, or overlapping and even in pitch) and in where the last
norm stands. Names of the parts are those of the published weights. Sources: arXiv:2309.02612,
arXiv:2310.01809.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Sequence
from typing import cast

import torch
from einops import rearrange
from torch import Tensor, nn

from unbraid.models.layers.plain_stft import PlainSTFT
from unbraid.models.layers.roformer import FeatureAttention, GatedAttention, RMSNorm, Transformer
from unbraid.models.network import GraphEnds, Network, no_graph
from unbraid.models.roformer.bands import Bands
from unbraid.models.roformer.config import BSRoformerConfig, MelBandRoformerConfig, RoformerConfig
from unbraid.shapes import Complex, Estimates, Float, Mixture, Spectrogram

Grid = Float[Tensor, "b n k d"]
"""Tokens: (batch, frames, bands, width)."""


class Roformer(Network):
    """What both RoFormers are. (b c t) -> (b s c t) for any t >= 1."""

    def __init__(self, config: RoformerConfig, norm_each: bool) -> None:
        super().__init__()
        self.config = config
        self.stft = PlainSTFT(config.n_fft, config.hop, config.window, True, config.normalized)
        self.band_split = BandSplit(config)
        self.layers = nn.ModuleList(_block(config, norm_each) for _ in range(config.depth))
        self.final_norm = nn.Identity() if norm_each else RMSNorm(config.width)
        self.mask_estimators = nn.ModuleList(MaskEstimator(config) for _ in config.stems)

    def forward(self, mixture: Mixture) -> Estimates:
        """Separate songs: (batch, channels, samples) -> (batch, stems, channels, samples)."""
        spectrum = self.stft(mixture)
        tokens = self._attend(self.band_split(spectrum))
        stems = []
        for estimator in self.mask_estimators:
            masked = spectrum * estimator(tokens)
            if self.config.silence_dc:
                masked[..., 0, :] = 0
            stems.append(self.stft.inverse(masked, mixture.shape[-1]))
        return torch.stack(stems, dim=1)

    def graph_ends(self, mixture: Tensor) -> GraphEnds:
        """Not yet: its transform has frames that the graph of an export has not."""
        raise no_graph("a RoFormer runs in unbraid alone so far")

    def _attend(self, x: Grid) -> Grid:
        """All blocks, alternating between the axes."""
        before: list[Tensor] = []
        for *joint, along_time, along_bands in cast("Iterable[Sequence[nn.Module]]", self.layers):
            for transformer in joint:
                x = _along_all(transformer, x)
            if self.config.skips and before:
                x = x + torch.stack(before).sum(dim=0)
            x = _along_bands(along_bands, _along_time(along_time, x))
            before.append(x)
        return self.final_norm(x)  # type: ignore[no-any-return]


class BSRoformer(Roformer):
    """BS-RoFormer: bands side by side, one norm after all blocks."""

    def __init__(self, config: BSRoformerConfig) -> None:
        super().__init__(config, norm_each=False)


class MelBandRoformer(Roformer):
    """Mel-Band RoFormer: overlapping bands, a norm after each transformer."""

    def __init__(self, config: MelBandRoformerConfig) -> None:
        super().__init__(config, norm_each=True)


class BandSplit(nn.Module):
    """Each band of a spectrogram as a token: a norm and a linear map of its own."""

    def __init__(self, config: RoformerConfig) -> None:
        super().__init__()
        self.bands, parts = config.split, 2 * config.audio_channels
        self.to_features = nn.ModuleList(
            nn.Sequential(RMSNorm(parts * count), nn.Linear(parts * count, config.width))
            for _, count in self.bands
        )

    def forward(self, spectrum: Spectrogram) -> Float[Tensor, "b n k d"]:
        """(batch, channels, freq, frames) -> (batch, frames, bands, width)."""
        values = rearrange(torch.view_as_real(spectrum), "b c f n ri -> b n f (c ri)")
        tokens = [
            embed(values[:, :, first : first + count].flatten(2))
            for (first, count), embed in zip(self.bands, self.to_features, strict=True)
        ]
        return torch.stack(tokens, dim=2)


class MaskEstimator(nn.Module):
    """A complex mask of one stem; where bands overlap, their mean."""

    def __init__(self, config: RoformerConfig) -> None:
        super().__init__()
        self.bands, self.channels = config.split, config.audio_channels
        self.bins = config.n_fft // 2 + 1
        hidden = [config.mask_growth * config.width] * config.mask_hidden_layers
        self.to_freqs = nn.ModuleList(
            nn.Sequential(_mlp([config.width, *hidden, 4 * self.channels * count]), nn.GLU(dim=-1))
            for _, count in self.bands
        )

    def forward(self, tokens: Grid) -> Complex[Tensor, "b c f n"]:
        """(batch, frames, bands, width) -> (batch, channels, freq, frames)."""
        parts = [
            estimate(token) for estimate, token in zip(self.to_freqs, tokens.unbind(2), strict=True)
        ]
        values = rearrange(
            torch.cat(parts, -1), "b n (f c ri) -> b c f n ri", c=self.channels, ri=2
        )
        return torch.view_as_complex(self._mean(values).contiguous())

    def _mean(self, values: Float[Tensor, "b c g n ri"]) -> Float[Tensor, "b c f n ri"]:
        """From the bins of all bands in a row to bins of the spectrum."""
        if values.shape[2] == self.bins:
            return values
        rows, shares = _places(self.bands, self.bins, values.device)
        whole = values.new_zeros((*values.shape[:2], self.bins, *values.shape[3:]))
        return whole.index_add(2, rows, values) * shares[:, None, None].to(values.dtype)


def _block(config: RoformerConfig, norm_each: bool) -> nn.ModuleList:
    """Transformers along all tokens (if any), along time, along frequency."""
    width, heads, head_width = config.width, config.heads, config.head_width
    dropout = config.attention_dropout

    def transformer(attentions: list[nn.Module]) -> Transformer:
        return Transformer(attentions, width, config.dropout, norm_each)

    def gated(layers: int) -> list[nn.Module]:
        return [
            GatedAttention(width, heads, head_width, config.polar, dropout) for _ in range(layers)
        ]

    joint: list[nn.Module] = [
        FeatureAttention(width, heads, head_width, dropout) for _ in range(config.joint_layers)
    ]
    axes = [transformer(gated(config.time_layers)), transformer(gated(config.frequency_layers))]
    return nn.ModuleList(([transformer(joint)] if joint else []) + axes)


def _along_time(transformer: nn.Module, x: Grid) -> Grid:
    y: Tensor = transformer(rearrange(x, "b n k d -> (b k) n d"))
    return rearrange(y, "(b k) n d -> b n k d", b=x.shape[0])


def _along_bands(transformer: nn.Module, x: Grid) -> Grid:
    y: Tensor = transformer(rearrange(x, "b n k d -> (b n) k d"))
    return rearrange(y, "(b n) k d -> b n k d", b=x.shape[0])


def _along_all(transformer: nn.Module, x: Grid) -> Grid:
    y: Tensor = transformer(rearrange(x, "b n k d -> b (n k) d"))
    return rearrange(y, "b (n k) d -> b n k d", n=x.shape[1])


def _mlp(widths: list[int]) -> nn.Sequential:
    """Linear maps with Tanh between."""
    layers: list[nn.Module] = []
    for old, new in itertools.pairwise(widths):
        layers += [nn.Linear(old, new), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


@functools.lru_cache(maxsize=16)
def _places(bands: Bands, bins: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Bin of each row of all bands, and 1 / number of bands at each bin."""
    with torch.inference_mode(False):
        rows = torch.cat([torch.arange(first, first + count) for first, count in bands])
        counts = torch.bincount(rows, minlength=bins)
        return rows.to(device), (1 / counts).to(device)
