"""LaSAFT with GPoCM: one U-Net for all stems; which stem it works on is an input.

    stem ── embedding e ──► linear · ReLU ... ──► γ, β of each conditioned block
                │
                └──────────────────────────────► query of every block

    block: y = TFC(x) ;  GPoCM: y ← y · sigmoid(γᵀ y + β) ;  y + LaSAFT(y)
      LaSAFT: N layers along frequency ("latent sources"), summed with the weights
              softmax(query(e) · keys / √d)

For each stem the same spectrogram passes once. The U-Net itself is `layers/cac_unet.py`.
Source: Choi, Kim, Chung, Jung, "LaSAFT: Latent Source Attentive Frequency Transformation for
Conditioned Source Separation", ICASSP 2021, arXiv:2010.11631.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from unbraid.models.lasaft.config import LaSAFTConfig
from unbraid.models.layers.batch_norm import BatchNorm1d
from unbraid.models.layers.cac_unet import CacCore
from unbraid.models.layers.lengths import next_multiple, pad_end
from unbraid.models.layers.parts_first import pack_parts_first, unpack_parts_first
from unbraid.models.layers.plain_stft import PlainSTFT
from unbraid.models.layers.tfc_tdf import TDF, DenseTFC, Maps
from unbraid.models.system import System
from unbraid.shapes import Estimates, Float, Int, Mixture


@dataclass(frozen=True)
class Condition:
    """The condition for a block: the stem's embedding, and a modulation if the block has one."""

    embedding: Float[Tensor, "b e"]
    gamma: Float[Tensor, "b i o"] | None = None
    beta: Float[Tensor, "b o"] | None = None


class Control(nn.Module):
    """From the embedding of a stem to the modulations of all conditioned blocks."""

    def __init__(self, config: LaSAFTConfig) -> None:
        super().__init__()
        self.blocks, self.width = len(config.conditioned_blocks), config.width
        widths = [config.embedding * 2**level for level in range(config.control_layers)]
        self.dense = nn.ModuleList(nn.Linear(*ends) for ends in pairwise(widths))
        self.norms = nn.ModuleList(BatchNorm1d(width) for width in widths[2:])
        self.dropout = nn.Dropout(0.5)
        last, norm = widths[-1], config.control_norm

        def end(outputs: int) -> nn.Sequential:
            steps = [nn.Linear(last, outputs)]
            return nn.Sequential(*steps, *[BatchNorm1d(outputs, affine=False)] * norm)

        self.gamma = end(self.blocks * self.width**2)
        self.beta = end(self.blocks * self.width)

    def forward(self, embedding: Float[Tensor, "b e"]) -> list[Condition]:
        """One condition for each conditioned block."""
        x = self.dense[0](embedding).relu()
        for linear, norm in zip(self.dense[1:], self.norms, strict=True):
            x = norm(self.dropout(linear(x).relu()))
        gamma = self.gamma(x).reshape(len(x), self.blocks, self.width, self.width)
        beta = self.beta(x).reshape(len(x), self.blocks, self.width)
        pairs = zip(gamma.unbind(1), beta.unbind(1), strict=True)
        return [Condition(embedding, *pair) for pair in pairs]


class LatentTransform(nn.Module):
    """Several layers along frequency, weighted by how well each suits the stem."""

    def __init__(self, config: LaSAFTConfig, freq: int) -> None:
        super().__init__()
        self.sources, self.key_width = config.latent_sources, config.key_width
        rows = freq * self.sources
        bottleneck = max(rows // config.bottleneck_factor, config.least_bottleneck)
        self.tdf = TDF(config.width, freq, bottleneck, outputs=rows, bias=config.bias)
        self.query = nn.Linear(config.embedding, self.key_width)
        self.keys = nn.Parameter(torch.randn(self.key_width, self.sources))

    def forward(self, x: Maps, embedding: Float[Tensor, "b e"]) -> Maps:
        """(b c n f) -> the same."""
        scores = self.query(embedding) @ self.keys / self.key_width**0.5
        values = rearrange(self.tdf(x), "b c n (f s) -> b c n f s", s=self.sources)
        return torch.einsum("bcnfs,bs->bcnf", values, scores.softmax(-1))


class Block(nn.Module):
    """Dense convolutions, a gate that the stem sets, and what layers along frequency add."""

    def __init__(self, config: LaSAFTConfig, inputs: int, freq: int) -> None:
        super().__init__()
        self.tfc = DenseTFC(inputs, config.width, config.layers, config.kernel)
        self.lasaft = LatentTransform(config, freq)

    def forward(self, x: Maps, condition: Condition) -> Maps:
        """(b c n f) -> (b width n f)."""
        y: Tensor = self.tfc(x)
        if condition.gamma is not None and condition.beta is not None:
            gate = torch.einsum("bio,binf->bonf", condition.gamma, y)
            y = y * (gate + condition.beta[:, :, None, None]).sigmoid()
        added: Tensor = self.lasaft(y, condition.embedding)
        return y + added


class LaSAFT(System):
    """One conditioned U-Net for all stems. (b c t) -> (b s c t) for any t >= 1."""

    config: LaSAFTConfig

    def __init__(self, config: LaSAFTConfig) -> None:
        super().__init__()
        self.config = config
        self.stft = PlainSTFT(config.n_fft, config.hop)
        self.embedding = nn.Embedding(len(config.stems), config.embedding)
        self.control = Control(config)
        self.net = CacCore(
            2 * config.audio_channels,
            config.width,
            config.levels,
            config.n_fft // 2 + 1,
            lambda inputs, freq: Block(config, inputs, freq),
        )

    def valid_samples(self, samples: int) -> int:
        """The next length whose frames can be halved at every level."""
        frames = next_multiple(-(-samples // self.config.hop) + 1, 2**self.config.levels)
        return self.config.hop * (frames - 1)

    def forward(self, mixture: Mixture) -> Estimates:
        """Separate songs: (batch, channels, samples) -> (batch, stems, channels, samples)."""
        samples = mixture.shape[-1]
        spectrum = pack_parts_first(self.stft(pad_end(mixture, self.valid_samples(samples))))
        indices = torch.arange(len(self.config.stems), device=mixture.device)
        if self.training:
            # Stem by stem, the norms of the control network would see equal rows and leave nothing.
            each = repeat(spectrum, "b c n f -> (b s) c n f", s=len(indices))
            all_stems = self.network(each, indices.repeat(len(mixture)))
            estimates = rearrange(all_stems, "(b s) c n f -> b s c n f", s=len(indices))
        else:  # one after the other, for the memory of one
            estimates = torch.stack(
                [self.network(spectrum, index.expand(len(mixture))) for index in indices], dim=1
            )
        return self.stft.inverse(unpack_parts_first(estimates), samples)

    def network(
        self, spectrum: Float[Tensor, "b c n f"], stem: Int[Tensor, " b"]
    ) -> Float[Tensor, "b c n f"]:
        """Real and imaginary parts of the mixture to those of the stem with this index."""
        embedding = self.embedding(stem)
        conditions = [Condition(embedding)] * self.net.blocks
        modulated = self.config.conditioned_blocks
        conditions[modulated.start : modulated.stop] = self.control(embedding)
        estimate: Tensor = self.net(spectrum, conditions)
        return estimate
