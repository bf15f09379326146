"""DPRNN-TasNet: masks on a learnt basis, found by RNNs within chunks of time and across them.

    mixture ── conv 16, stride 8 ──┬───────────────────────────────── × ── transposed conv ── stems
                                   │                                  ▲
                             norm · conv 1                          masks
                                   │                                  │
             cut into chunks (100 frames, half overlapping)    conv 1 · sigmoid
                                   │                                  │
         6 × ┌ x + norm · linear · LSTM along a chunk       ┐  tanh(conv 1) · sigmoid(conv 1)
             └ x + norm · linear · LSTM from chunk to chunk ┘         │
                                   └── PReLU · conv 1 ── add chunks ──┘

An LSTM thus never runs over more than about the square root of all frames.
Source: Luo, Chen, Yoshioka, "Dual-path RNN", ICASSP 2020, arXiv:1910.06379.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from unbraid.models.dprnn.config import DPRNNConfig
from unbraid.models.layers.basis_masks import BasisMasks
from unbraid.models.layers.learnt_basis import FeatureNorm, LearntBasis, bounded_masks
from unbraid.models.layers.recurrent import one_thread
from unbraid.shapes import Float

_RNNS: dict[str, type[nn.LSTM | nn.GRU | nn.RNN]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class Path(nn.Module):
    """x + norm(linear(RNN(x))) along one of the two axes of time."""

    def __init__(self, config: DPRNNConfig, both_ways: bool) -> None:
        super().__init__()
        width, hidden = config.width, config.hidden
        out = hidden * (1 + both_ways)
        self.rnns = nn.ModuleList(
            _RNNS[config.rnn](
                width,
                hidden,
                config.layers,
                batch_first=True,
                dropout=config.dropout if config.layers > 1 else 0.0,
                bidirectional=both_ways,
            )
            for _ in range(1 + config.multiply)
        )
        self.linear = nn.Linear(out + config.multiply * width, width)
        self.norm = FeatureNorm(width, "global")

    def forward(self, x: Float[Tensor, "b c k n"]) -> Float[Tensor, "b c k n"]:
        """Along the axis k."""
        y = rearrange(x, "b c k n -> (b n) k c")
        with one_thread(x.device):
            outputs = [rnn(y)[0] for rnn in self.rnns]
        y = outputs[0] if len(outputs) == 1 else torch.cat([outputs[0] * outputs[1], y], dim=-1)
        added: Tensor = self.norm(rearrange(self.linear(y), "(b n) k c -> b c k n", b=len(x)))
        return x + added


class DPRNN(BasisMasks):
    """RNNs along and across chunks. (b c t) -> (b s c t) for any t >= 1."""

    config: DPRNNConfig

    def __init__(self, config: DPRNNConfig) -> None:
        super().__init__()
        self.config = config
        width, stems = config.width, len(config.stems)
        self.basis = LearntBasis(config.audio_channels, config.basis, config.kernel, config.stride)
        self.norm = FeatureNorm(config.basis, "global")
        self.bottleneck = nn.Conv1d(config.basis, width, 1)
        self.within = nn.ModuleList(Path(config, both_ways=True) for _ in range(config.repeats))
        self.across = nn.ModuleList(Path(config, config.both_ways) for _ in range(config.repeats))
        self.slope = nn.PReLU()
        self.split = nn.Conv2d(width, stems * width, 1)
        self.value, self.gate = nn.Conv1d(width, width, 1), nn.Conv1d(width, width, 1)
        self.scores = nn.Conv1d(width, config.basis, 1, bias=False)

    def masks(self, features: Float[Tensor, "b w n"]) -> Float[Tensor, "b s w n"]:
        """What part of each feature belongs to each stem."""
        x = self._cut(self.bottleneck(self.norm(features)))
        for within, across in zip(self.within, self.across, strict=True):
            x = within(x)
            x = across(x.transpose(2, 3)).transpose(2, 3)
        x = self.split(self.slope(x))
        x = rearrange(x, "b (s c) k n -> (b s) c k n", c=self.config.width)
        x = self._join(x, features.shape[-1])
        scores = self.scores(self.value(x).tanh() * self.gate(x).sigmoid())
        scores = rearrange(scores, "(b s) w n -> b s w n", b=len(features))
        return bounded_masks(scores, self.config.mask)

    def _cut(self, x: Float[Tensor, "b c n"]) -> Float[Tensor, "b c k m"]:
        """Frames to chunks, with a chunk of zeros at either end."""
        chunk, hop = self.config.chunk, self.config.hop
        return F.pad(x, (chunk, chunk)).unfold(-1, chunk, hop).transpose(2, 3)

    def _join(self, x: Float[Tensor, "b c k m"], frames: int) -> Float[Tensor, "b c n"]:
        """Add chunks where they overlap, and cut the zeros off: each frame counts chunk / hop."""
        chunk, hop = self.config.chunk, self.config.hop
        columns = rearrange(x, "b c k m -> b (c k) m")
        size, kernel = (1, frames + 2 * chunk), (1, chunk)
        joined: Tensor = F.fold(columns, size, kernel, stride=(1, hop))
        return joined[:, :, 0, chunk : chunk + frames]
