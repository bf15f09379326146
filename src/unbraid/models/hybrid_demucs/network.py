"""Hybrid Demucs: a U-Net on the waveform and one on the spectrogram, with a shared core.

Source: Défossez, "Hybrid Spectrogram and Waveform Source Separation", MDX workshop 2021,
arXiv:2111.03600. At default size, for t samples and n = ceil(t / 1024):

    spectrogram (4, 2048, n)              waveform (2, t)
        spec_encoder  48 x 512                time_encoder  48 x t/4
                      96 x 128                              96 x t/16
                     192 x 32                              192 x t/64
                     384 x 8                               384 x t/256
                          \\                                /
                           meeting            768 x n
                           shared_encoder    1536 x n/2
                           shared_decoder     768 x n
                           parting           /        \\
        spec_decoder, mirrored                time_decoder, mirrored
    spectrograms of the stems ── inverse STFT ── + ── waveforms of the stems
"""

from __future__ import annotations

from torch import Tensor, nn

from unbraid.models.hybrid_demucs.config import HybridDemucsConfig
from unbraid.models.layers.init import rescale_convolutions
from unbraid.models.layers.stft import AlignedSTFT, DelayedSTFT
from unbraid.models.network import GraphEnds
from unbraid.models.spectral.layers import (
    MeetingEncoder,
    PartingDecoder,
    TimeDecoderLayer,
    TimeEncoderLayer,
)
from unbraid.models.spectral.parts import (
    make_head,
    make_spec_decoder,
    make_spec_encoder,
    run_core,
)
from unbraid.models.spectral.two_branches import TwoBranches
from unbraid.shapes import Estimates, Float, Mixture

__all__ = ["HybridDemucs", "HybridDemucsConfig"]


class HybridDemucs(TwoBranches):
    """Two branches, one meeting, two ways out. (b c t) -> (b s c t) for any t >= 1."""

    def __init__(self, config: HybridDemucsConfig) -> None:
        super().__init__()
        self.config = config
        self.stft = (DelayedSTFT if config.delayed_stft else AlignedSTFT)(config.n_fft)
        self.head = make_head(config)
        spec, time, shared = config.plan()
        *spec_outer, spec_meeting = spec
        *time_outer, time_meeting = time

        self.spec_encoder = make_spec_encoder(config, spec_outer)
        self.time_encoder = nn.ModuleList(TimeEncoderLayer(shape.encoder) for shape in time_outer)
        self.meeting = MeetingEncoder(spec_meeting.encoder, time_meeting.encoder)
        self.shared_encoder = nn.ModuleList(TimeEncoderLayer(shape.encoder) for shape in shared)

        self.shared_decoder = nn.ModuleList(
            TimeDecoderLayer(shape.decoder) for shape in reversed(shared)
        )
        self.parting = PartingDecoder(spec_meeting.decoder, time_meeting.decoder)
        self.spec_decoder = make_spec_decoder(config, spec_outer)
        self.time_decoder = nn.ModuleList(
            TimeDecoderLayer(shape.decoder, outermost=shape is time_outer[0])
            for shape in reversed(time_outer)
        )
        if config.init_reference:
            rescale_convolutions(self, config.init_reference)

    def forward(self, mixture: Mixture) -> Estimates:
        """Separate songs: (batch, channels, samples) -> (batch, stems, channels, samples)."""
        spectrum = self.stft(mixture)
        features, waves = self.network(self.head.enter(spectrum), mixture)
        spectra = self.head.leave(features, spectrum)
        return self.stft.inverse(spectra, mixture.shape[-1]) + waves

    def graph_ends(self, mixture: Tensor) -> GraphEnds:
        """Everything between the STFT and its inverse is one graph."""
        return GraphEnds(
            self.network,
            {"features": self.head.enter(self.stft(mixture)), "mixture": mixture},
            ("stem_features", "waves"),
            transform="delayed" if self.config.delayed_stft else "aligned",
            n_fft=self.config.n_fft,
            head=self.head.graph_kind(),
        )

    def core(
        self, x: Float[Tensor, "b c f n"], t: Float[Tensor, "b c2 m"]
    ) -> tuple[Float[Tensor, "b c3 f n"], Float[Tensor, "b c4 m"]]:
        """One U-Net over time, in which both branches meet and from which both part."""
        met = self.meeting(x, t)
        core = run_core(self.shared_encoder, self.shared_decoder, met.squeeze(2))
        x, t = self.parting(core.unsqueeze(2), met, samples=t.shape[-1])
        return x, t
