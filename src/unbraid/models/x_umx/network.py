"""CrossNet-Open-Unmix: the networks of Open-Unmix, bridged twice by the mean of their features.

    |mixture| ──┬─► encode, stem 1 ──┐       ┌─► LSTM 1 ──┐        ┌─► mask 1 ── × |mixture|
                ├─► encode, stem 2 ──┤       ├─► LSTM 2 ──┤        ├─► mask 2 ── × |mixture|
                ├─► encode, stem 3 ──┼─ mean ┼─► LSTM 3 ──┼─ mean ─┼─► mask 3 ── × |mixture|
                └─► encode, stem 4 ──┘       └─► LSTM 4 ──┘        └─► mask 4 ── × |mixture|
                          └─── concat with the LSTM's output ───┘

No parameter is added. Source: Sawata, Uhlich, Takahashi, Mitsufuji, "All for One and One for All",
ICASSP 2021, arXiv:2010.04228.
"""

from __future__ import annotations

import torch
from torch import Tensor

from unbraid.models.open_unmix.network import OpenUnmix
from unbraid.models.x_umx.config import XUMXConfig
from unbraid.shapes import Float


class XUMX(OpenUnmix):
    """Bridged masking networks. (b c t) -> (b s c t) for any t >= 1."""

    config: XUMXConfig

    def magnitudes(self, mixture: Float[Tensor, "b c f n"]) -> Float[Tensor, "b s c f n"]:
        """Magnitudes of the mixture to those of the stems, all networks at once."""
        encoded = torch.stack([net.encode(mixture) for net in self.nets])
        shared = encoded.mean(0)
        recurred = torch.stack([net.recur(shared) for net in self.nets])
        shared = torch.cat([encoded, recurred], dim=-1).mean(0)
        return torch.stack([mixture * net.mask(shared) for net in self.nets], dim=1)
