"""What models on spectrograms share: how their settings become layers, and their core.

`HybridDemucs` and `SpectrogramDemucs` differ in whether a time branch runs along; how a level is
built and how a spectrogram enters and leaves is the same for both and stands here. What a setting
means is in `config.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from unbraid.models.layers.embedding import FrequencyEmbedding
from unbraid.models.layers.levels import Level
from unbraid.models.spectral.band_split import BandSplitDecoderLayer, BandSplitEncoderLayer
from unbraid.models.spectral.config import SpectralConfig
from unbraid.models.spectral.heads import ComplexAsChannels, MagnitudeHead
from unbraid.models.spectral.layers import SpecDecoderLayer, SpecEncoderLayer


def make_head(config: SpectralConfig) -> ComplexAsChannels | MagnitudeHead:
    """How spectrograms enter and leave."""
    if not config.magnitude:
        return ComplexAsChannels()
    return MagnitudeHead(
        config.wiener_iterations, config.wiener_training_iterations, config.wiener_residual
    )


def make_spec_encoder(config: SpectralConfig, levels: Iterable[Level]) -> nn.ModuleList:
    """The outer layers of the spectral branch, split into bands where the config says so."""
    layers: list[nn.Module] = []
    for level, shapes in enumerate(levels):
        embedding = make_embedding(config) if level == 0 else None
        if level < config.split_levels:
            layers.append(BandSplitEncoderLayer(shapes.encoder, config.band_splits, embedding))
        else:
            layers.append(SpecEncoderLayer(shapes.encoder, embedding))
    return nn.ModuleList(layers)


def make_spec_decoder(config: SpectralConfig, levels: Iterable[Level]) -> nn.ModuleList:
    """Their mirror image, innermost first."""
    layers: list[nn.Module] = []
    for level, shapes in enumerate(levels):
        if level < config.split_levels:
            layers.append(BandSplitDecoderLayer(shapes.decoder, config.band_splits, level == 0))
        else:
            layers.append(SpecDecoderLayer(shapes.decoder, outermost=level == 0))
    return nn.ModuleList(reversed(layers))


def make_embedding(config: Any) -> FrequencyEmbedding | None:
    """The embedding of frequencies after the first level of a hybrid; None if it has none."""
    if not config.embedding_weight:
        return None
    return FrequencyEmbedding(
        rows=config.n_fft // 2 // config.stride,
        width=config.width,
        weight=config.embedding_weight,
        scale=config.embedding_scale,
        smooth=config.embedding_smooth,
    )


def run_core(encoder: nn.ModuleList, decoder: nn.ModuleList, x: Tensor) -> Tensor:
    """The U-Net over time that all branches share: (batch, width, frames) -> the same shape."""
    skips, lengths = [], []
    for layer in encoder:
        lengths.append(x.shape[-1])
        x = layer(x)
        skips.append(x)
    x = torch.zeros_like(x)  # the innermost skip carries all there is
    for layer in decoder:
        x = layer(x, skips.pop(), samples=lengths.pop())
    return x


def standardize(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Zero mean, unit deviation per batch item; also the mean and the deviation to undo it with."""
    axes = tuple(range(1, x.ndim))
    correction = 1 if x[0].numel() > 1 else 0  # a lone number deviates by 0
    mean, std = x.mean(axes, keepdim=True), x.std(axes, correction=correction, keepdim=True)
    return (x - mean) / (1e-5 + std), mean, std
