"""Local attention: each step looks at all others, the further away the less."""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import Tensor, nn

from unbraid.errors import SettingsError
from unbraid.shapes import Float


class LocalAttention(nn.Module):
    """Multi-head attention over time whose scores fall with distance at a learnt rate.

    The score of key step t for query step s is

        K_t . Q_s / sqrt(width / heads)  -  sum_k  k |t - s| / sqrt(decays) * sigmoid(D_ks) / 2

    with `decays` rates D read off the query step. A step does not look at itself. Optional
    `periods` add cos(2 pi (t - s) / p) terms for p = 1 ... periods, and hand these responses on.

    Shape: (batch, width, steps) -> the same; the input is added to the output.

    Source: arXiv:2111.03600, section 3.3. The paper leaves out the 1/2, both square roots and the
    masked diagonal; published weights need them.
    """

    def __init__(self, width: int, heads: int = 4, decays: int = 4, periods: int = 0) -> None:
        super().__init__()
        if width % heads:
            raise SettingsError(f"width must be a multiple of heads, got {width} and {heads}")
        self.heads, self.decays, self.periods = heads, decays, periods
        self.content = nn.Conv1d(width, width, 1)
        self.query = nn.Conv1d(width, width, 1)
        self.key = nn.Conv1d(width, width, 1)
        if periods:
            self.query_freqs = nn.Conv1d(width, heads * periods, 1)
        if decays:
            self.query_decay = nn.Conv1d(width, heads * decays, 1)
            # Nearly no decay at first, and nearly the same for every step.
            with torch.no_grad():
                self.query_decay.weight.mul_(0.01)
                nn.init.constant_(self.query_decay.bias, -2.0)  # type: ignore[arg-type]
        self.proj = nn.Conv1d(width + heads * periods, width, 1)

    def forward(self, x: Float[Tensor, "b c t"]) -> Float[Tensor, "b c t"]:
        """Attend over the last axis."""
        heads = self.heads
        position = torch.arange(x.shape[-1], device=x.device, dtype=x.dtype)
        distance = position[:, None] - position[None, :]  # key t, query s
        query = rearrange(self.query(x), "b (h c) s -> b h c s", h=heads)
        key = rearrange(self.key(x), "b (h c) t -> b h c t", h=heads)
        scores = torch.einsum("bhct,bhcs->bhts", key, query) / math.sqrt(key.shape[2])
        if self.periods:
            waves = self._waves(distance)
            strength = rearrange(self.query_freqs(x), "b (h p) s -> b h p s", h=heads)
            scores = scores + torch.einsum("pts,bhps->bhts", waves, strength) / math.sqrt(
                self.periods
            )
        if self.decays:
            scores = scores - distance.abs() * self._decay(x)[:, :, None, :]
        # A large finite number instead of infinity: a single step then still has a softmax.
        itself = torch.eye(x.shape[-1], device=x.device, dtype=torch.bool)
        weights = scores.masked_fill(itself, -100.0).softmax(dim=2)
        content = rearrange(self.content(x), "b (h c) t -> b h c t", h=heads)
        found = torch.einsum("bhts,bhct->bhcs", weights, content)
        if self.periods:
            found = torch.cat([found, torch.einsum("bhts,pts->bhps", weights, waves)], dim=2)
        out: Tensor = x + self.proj(rearrange(found, "b h c s -> b (h c) s"))
        return out

    def _decay(self, x: Tensor) -> Tensor:
        """Loss of score per step of distance, (batch, heads, query steps)."""
        rates = rearrange(self.query_decay(x), "b (h k) s -> b h k s", h=self.heads).sigmoid() / 2
        k = torch.arange(1, self.decays + 1, device=x.device, dtype=x.dtype)
        return torch.einsum("k,bhks->bhs", k / math.sqrt(self.decays), rates)

    def _waves(self, distance: Tensor) -> Tensor:
        """cos(2 pi (t - s) / p), (periods, key steps, query steps)."""
        p = torch.arange(1, self.periods + 1, device=distance.device, dtype=distance.dtype)
        return torch.cos(2 * math.pi * distance / p[:, None, None])
