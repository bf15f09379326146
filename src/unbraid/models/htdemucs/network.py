"""HT Demucs: two U-Nets and a transformer in which they see each other. arXiv:2211.08553.

Shapes at the published size, stereo, n frames of 1024 samples:

    mixture ── STFT, real and imaginary parts      mixture
               4 x 2048 x n                         2 x t
    spec_encoder  48 x 512        time_encoder   48 x t/4
                  96 x 128                       96 x t/16
                 192 x 32                       192 x t/64
                 384 x 8                        384 x t/256
           \\                                    /
            channel_upsampler         512 x 8 n, 512 x t/256
            crosstransformer          tokens of both, 5 layers
            channel_downsampler       384 x 8 n, 384 x t/256
           /                                    \\
    spec_decoder, mirrored         time_decoder, mirrored
    spectrograms of the stems ── inverse STFT ── + ── waveforms of the stems
"""

from __future__ import annotations

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from unbraid.models.htdemucs.config import HTDemucsConfig
from unbraid.models.htdemucs.transformer import CrossDomainTransformer
from unbraid.models.layers.init import rescale_convolutions
from unbraid.models.layers.stft import AlignedSTFT, pack_complex, unpack_complex
from unbraid.models.network import GraphEnds, no_graph
from unbraid.models.spectral.layers import (
    SpecDecoderLayer,
    SpecEncoderLayer,
    TimeDecoderLayer,
    TimeEncoderLayer,
)
from unbraid.models.spectral.parts import make_embedding
from unbraid.models.spectral.two_branches import TwoBranches
from unbraid.shapes import Estimates, Float, Mixture


class HTDemucs(TwoBranches):
    """Hybrid Transformer Demucs. (b c t) -> (b s c t).

    Any t >= 1; where `config.pad_to_segment` is set, up to the segment outside of training.
    """

    def __init__(self, config: HTDemucsConfig) -> None:
        super().__init__()
        self.config = config
        self.stft = AlignedSTFT(config.n_fft)
        spec, time = config.spec_levels, config.time_levels
        self.spec_encoder = nn.ModuleList(
            SpecEncoderLayer(level.encoder, None if index else make_embedding(config))
            for index, level in enumerate(spec)
        )
        self.spec_decoder = nn.ModuleList(
            SpecDecoderLayer(level.decoder, outermost=level is spec[0]) for level in reversed(spec)
        )
        self.time_encoder = nn.ModuleList(TimeEncoderLayer(level.encoder) for level in time)
        self.time_decoder = nn.ModuleList(
            TimeDecoderLayer(level.decoder, outermost=level is time[0]) for level in reversed(time)
        )
        if config.init_reference:
            rescale_convolutions(self, config.init_reference)

        inner = config.bottleneck
        spec_width, time_width = config.spec_widths[-1], config.time_widths[-1]
        self.channel_upsampler = _resize(spec_width, inner)
        self.channel_downsampler = _resize(inner, spec_width)
        self.channel_upsampler_t = _resize(time_width, inner)
        self.channel_downsampler_t = _resize(inner, time_width)
        self.crosstransformer = (
            CrossDomainTransformer(config) if config.transformer_layers else None
        )

    def valid_samples(self, samples: int) -> int:
        """The segment it was trained on, if it pads to it; else any length.

        Raises:
            SegmentTooLong: if `samples` is more than that.
        """
        valid: int = self.config.valid_samples(samples, self.training)
        return valid

    def forward(self, mixture: Mixture) -> Estimates:
        """Separate songs: (batch, channels, samples) -> (batch, stems, channels, samples)."""
        samples = mixture.shape[-1]
        mixture = F.pad(mixture, (0, self.valid_samples(samples) - samples))
        features, waves = self.network(pack_complex(self.stft(mixture)), mixture)
        spectra = self.stft.inverse(unpack_complex(features), mixture.shape[-1])
        return (spectra + waves)[..., :samples]

    def graph_ends(self, mixture: Tensor) -> GraphEnds:
        """Not supported yet: exporting its transformer is untested."""
        raise no_graph("an HT Demucs runs in unbraid alone so far")

    def core(
        self, x: Float[Tensor, "b c f n"], t: Float[Tensor, "b c2 m"]
    ) -> tuple[Float[Tensor, "b c f n"], Float[Tensor, "b c2 m"]]:
        """The transformer, at its own width."""
        if self.crosstransformer is None:
            return x, t
        rows = x.shape[2]
        x = self.channel_upsampler(rearrange(x, "b c f n -> b c (f n)"))
        x = rearrange(x, "b c (f n) -> b c f n", f=rows)
        x, t = self.crosstransformer(x, self.channel_upsampler_t(t))
        x = self.channel_downsampler(rearrange(x, "b c f n -> b c (f n)"))
        return rearrange(x, "b c (f n) -> b c f n", f=rows), self.channel_downsampler_t(t)


def _resize(old: int, new: int) -> nn.Module:
    return nn.Conv1d(old, new, 1) if old and new else nn.Identity()
