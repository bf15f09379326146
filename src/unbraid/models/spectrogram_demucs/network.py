"""Hybrid Demucs without its time branch: a U-Net on the spectrogram alone.

The ablation of arXiv:2111.03600 (section 4), and what many models before were: frequency levels
down to a single row, a core over time, and back. The STFT is a plain centred one, since no branch
has to meet it.
"""

from __future__ import annotations

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from unbraid.models.layers.init import rescale_convolutions
from unbraid.models.layers.stft import CentredSTFT
from unbraid.models.network import GraphEnds, Network
from unbraid.models.spectral.layers import TimeDecoderLayer, TimeEncoderLayer
from unbraid.models.spectral.parts import (
    make_head,
    make_spec_decoder,
    make_spec_encoder,
    run_core,
    standardize,
)
from unbraid.models.spectrogram_demucs.config import SpectrogramDemucsConfig
from unbraid.shapes import Estimates, Float, Mixture

__all__ = ["SpectrogramDemucs", "SpectrogramDemucsConfig"]


class SpectrogramDemucs(Network):
    """One branch, on the spectrogram. (b c t) -> (b s c t)."""

    def __init__(self, config: SpectrogramDemucsConfig) -> None:
        super().__init__()
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

    def valid_samples(self, samples: int) -> int:
        """The STFT reflects half a window at either end, so there must be more than that."""
        return max(samples, int(self.config.n_fft) // 2 + 1)

    def forward(self, mixture: Mixture) -> Estimates:
        """Separate songs: (batch, channels, samples) -> (batch, stems, channels, samples)."""
        samples = mixture.shape[-1]
        spectrum = self.stft(F.pad(mixture, (0, self.valid_samples(samples) - samples)))
        features = self.network(self.head.enter(spectrum))
        return self.stft.inverse(self.head.leave(features, spectrum), samples)

    def graph_ends(self, mixture: Tensor) -> GraphEnds:
        """Everything between the STFT and its inverse is one graph."""
        features = self.head.enter(self.stft(mixture))
        return GraphEnds(
            lambda x: (self.network(x),),
            {"features": features},
            ("stem_features",),
            transform="centred",
            n_fft=self.config.n_fft,
            head=self.head.graph_kind(),
        )

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
