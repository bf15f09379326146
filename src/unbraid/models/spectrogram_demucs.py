"""Hybrid Demucs without its time branch: a U-Net on the spectrogram alone.

The ablation of arXiv:2111.03600 (section 4), and what many models before were: frequency levels
down to a single row, a core over time, and back. The STFT is a plain centred one, since no branch
has to meet it.
"""

from __future__ import annotations

import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from unbraid.models.base import ModelSpec
from unbraid.models.branches import TimeDecoderLayer, TimeEncoderLayer
from unbraid.models.configs.spectral import SpectrogramDemucsConfig
from unbraid.models.layers.init import rescale_convolutions
from unbraid.models.spectral import (
    make_head,
    make_spec_decoder,
    make_spec_encoder,
    run_core,
    standardize,
)
from unbraid.models.stft import CentredSTFT
from unbraid.shapes import Estimates, Mixture

__all__ = ["SpectrogramDemucs", "SpectrogramDemucsConfig"]


class SpectrogramDemucs(nn.Module):
    """One branch, on the spectrogram. (b c t) -> (b s c t)."""

    def __init__(self, config: SpectrogramDemucsConfig) -> None:
        super().__init__()
        config.check()
        self.config = config
        self.stft = CentredSTFT(config.n_fft)
        self.head = make_head(config)
        widths = config.spec_widths()
        spec, shared = config.spec_levels(widths), config.shared_levels(widths)
        self.spec_encoder = make_spec_encoder(config, spec)
        self.shared_encoder = nn.ModuleList(TimeEncoderLayer(shape.encoder) for shape in shared)
        self.shared_decoder = nn.ModuleList(
            TimeDecoderLayer(shape.decoder) for shape in reversed(shared)
        )
        self.spec_decoder = make_spec_decoder(config, spec)
        if config.init_reference:
            rescale_convolutions(self, config.init_reference)

    @property
    def spec(self) -> ModelSpec:
        """Stems, rate, channels and segment; any length is fine."""
        return self.config.spec

    def valid_samples(self, samples: int) -> int:
        """The STFT reflects half a window at either end, so there must be more than that."""
        return max(samples, self.config.n_fft // 2 + 1)

    def forward(self, mixture: Mixture) -> Estimates:
        """Separate songs: (batch, channels, samples) -> (batch, stems, channels, samples)."""
        samples = mixture.shape[-1]
        spectrum = self.stft(F.pad(mixture, (0, self.valid_samples(samples) - samples)))
        features = self.network(self.head.enter(spectrum))
        return self.stft.inverse(self.head.leave(features, spectrum), samples)

    def network(self, features: Float[Tensor, "b p f n"]) -> Float[Tensor, "b s p f n"]:
        """Everything between the STFT and its inverse, in real numbers.

        Args:
            features: spectrogram of the mixture, as the head lets it enter.
        Returns:
            for each stem what the head makes a spectrogram of.
        """
        x, mean, std = standardize(features)

        skips = []
        for layer in self.spec_encoder:
            x = layer(x)
            skips.append(x)

        x = run_core(self.shared_encoder, self.shared_decoder, x.squeeze(2)).unsqueeze(2)

        for layer in self.spec_decoder:
            x = layer(x, skips.pop())

        x = rearrange(x, "b (s c) f n -> b s c f n", s=len(self.config.stems))
        return x * std[:, None] + mean[:, None]
