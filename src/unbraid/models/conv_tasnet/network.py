"""Conv-TasNet: masks on a learnt basis, found by dilated convolutions over time.

    mixture ── conv 20, stride 10 ── ReLU ──┬────────────── × ── transposed conv ── stems
                                            │               ▲
                                      norm · conv 1     masks, 4
                                            │               │
                                  ┌ block, dilation 1 ┐     │
                                  │ block, dilation 2 │     │
                                  │   ...         512 │── conv 1 · ReLU
                                  └──── 4 times ──────┘

    block: x + conv 1 · PReLU · norm · depthwise conv 3 · PReLU · norm · conv 1

In the speech version each block also gives features that are summed and make the masks.
Source: Luo and Mesgarani, arXiv:1809.07454; for music, Défossez et al., arXiv:1911.13254.
"""

from __future__ import annotations

from einops import rearrange
from torch import Tensor, nn

from unbraid.models.conv_tasnet.config import ConvTasNetConfig
from unbraid.models.layers.basis_masks import BasisMasks
from unbraid.models.layers.init import has_memory
from unbraid.models.layers.learnt_basis import LearntBasis, bounded_masks, make_norm
from unbraid.shapes import Float


class DilatedConv(nn.Conv1d):
    """A convolution of each feature by itself that keeps the number of frames."""

    def __init__(self, config: ConvTasNetConfig, dilation: int) -> None:
        reach = (config.conv_kernel - 1) * dilation
        self.causal = config.causal
        super().__init__(
            config.hidden,
            config.hidden,
            config.conv_kernel,
            padding=reach if config.causal else reach // 2,
            dilation=dilation,
            groups=config.hidden,
            bias=config.bias,
        )

    def forward(self, x: Float[Tensor, "b c n"]) -> Float[Tensor, "b c n"]:
        """Filter; a causal one reads only what came before."""
        y: Tensor = super().forward(x)
        return y[..., : x.shape[-1]] if self.causal else y


class Block(nn.Module):
    """(b c n) -> what is added to the stream, (b c n), and what goes to the masks, if anything."""

    def __init__(self, config: ConvTasNetConfig, dilation: int) -> None:
        super().__init__()
        hidden, bias = config.hidden, config.bias
        self.shared = nn.Sequential(
            nn.Conv1d(config.width, hidden, 1, bias=bias),
            nn.PReLU(),
            make_norm(hidden, config.norm),
            DilatedConv(config, dilation),
            nn.PReLU(),
            make_norm(hidden, config.norm),
        )
        self.residual = nn.Conv1d(hidden, config.width, 1, bias=bias)
        self.skip = None
        if config.skip_width:
            self.skip = nn.Conv1d(hidden, config.skip_width, 1, bias=bias)

    def forward(self, x: Float[Tensor, "b c n"]) -> tuple[Tensor, Tensor | float]:
        """Both outputs."""
        x = self.shared(x)
        return self.residual(x), self.skip(x) if self.skip is not None else 0.0


class ConvTasNet(BasisMasks):
    """Masks on a learnt basis. (b c t) -> (b s c t) for any t >= 1."""

    config: ConvTasNetConfig

    def __init__(self, config: ConvTasNetConfig) -> None:
        super().__init__()
        self.config = config
        width, bias = config.width, config.bias
        self.basis = LearntBasis(config.audio_channels, config.basis, config.kernel, config.stride)
        self.norm = make_norm(config.basis, config.input_norm)
        self.bottleneck = nn.Conv1d(config.basis, width, 1, bias=bias)
        self.blocks = nn.ModuleList(
            Block(config, 2**level) for _ in range(config.repeats) for level in range(config.blocks)
        )
        self.slope = nn.PReLU() if config.mask_slope else nn.Identity()
        scores = len(config.stems) * config.basis
        self.scores = nn.Conv1d(config.skip_width or width, scores, 1, bias=bias)
        for module in self.modules():
            if isinstance(module, (nn.Conv1d, nn.ConvTranspose1d)) and has_memory(module.weight):
                nn.init.xavier_normal_(module.weight)

    def features(self, mixture: Float[Tensor, "b c t"]) -> Float[Tensor, "b w n"]:
        """Those of the basis, rectified where the config says so."""
        found: Tensor = self.basis(mixture)
        return found.relu() if self.config.rectified else found

    def masks(self, features: Float[Tensor, "b w n"]) -> Float[Tensor, "b s w n"]:
        """What part of each feature belongs to each stem."""
        x = self.bottleneck(self.norm(features))
        skips: Tensor | float = 0.0
        for block in self.blocks:
            added, skip = block(x)
            x, skips = x + added, skips + skip
        x = skips if isinstance(skips, Tensor) else x
        scores = self.scores(self.slope(x))
        scores = rearrange(scores, "b (s w) n -> b s w n", s=len(self.config.stems))
        return bounded_masks(scores, self.config.mask)
