"""An embedding of frequency."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unbraid.shapes import Float


class FrequencyEmbedding(nn.Module):
    """Adds a learnt vector to every frequency row, so that convolutions know where they are.

    The table holds values `scale` times smaller than what is added: Adam's steps, which do not
    depend on the size of a gradient, are then `scale` times larger relative to them.

    Shape: (batch, width, freq, frames) -> the same.

    Args:
        rows: number of frequency rows.
        weight: factor of what is added.
        smooth: start from a random walk over the rows (unit variance, neighbours alike) rather than
            from independent rows.
    Source: Isik et al. 2020, arXiv:2008.04470; arXiv:2111.03600, section 3.2.
    """

    def __init__(
        self, rows: int, width: int, weight: float = 0.2, scale: float = 10.0, smooth: bool = True
    ) -> None:
        super().__init__()
        self.weight, self.scale = weight, scale
        self.embedding = nn.Embedding(rows, width, _weight=torch.empty(rows, width))
        if not self.embedding.weight.is_meta:  # where there is no memory, torch would load a lot
            self._start(smooth)

    @torch.no_grad()
    def _start(self, smooth: bool) -> None:
        table = self.embedding.weight.normal_()
        if smooth:
            steps = torch.arange(1, len(table) + 1, dtype=table.dtype)
            table.copy_(table.cumsum(0) / steps.sqrt()[:, None])
        table.div_(self.scale)

    def forward(self, x: Float[Tensor, "b c f n"]) -> Float[Tensor, "b c f n"]:
        """Add the vectors of rows 0 ... freq - 1."""
        rows = self.embedding.weight[: x.shape[2]] * (self.weight * self.scale)
        return x + rows.T[None, :, :, None]
