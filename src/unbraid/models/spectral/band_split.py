"""Outermost layers with weights of their own for each frequency band.

Built so that bands of equal weights give exactly what one layer over all rows gives. Bands overlap
by what a convolution sees of its neighbour, and what two bands of a decoder write to the same rows
is added, as a transposed convolution would:

    encoder   rows  |== band 0 ==|              each copy convolves without padding; the outer
                             |== band 1 ==|     bands get theirs by hand
    decoder   rows  |= 0 =|= 1 =|               disjoint; results are `kernel - stride` rows longer
                                                than their hops, and overlap by that
Investigated in arXiv:2111.03600, section 3.2; one published model uses it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unbraid.models.layers.embedding import FrequencyEmbedding
from unbraid.models.layers.levels import LayerShape
from unbraid.models.spectral.bands import decoder_bands, encoder_bands
from unbraid.models.spectral.layers import (
    DecoderLayer,
    SpecEncoderLayer,
    make_spec_conv_tr,
)
from unbraid.shapes import Float


class BandSplitEncoderLayer(nn.Module):
    """(batch, outer, freq, frames) -> (batch, width, freq / stride, frames), band by band.

    Args:
        shape: of the layer that is split; it has no norm.
        splits: shares of the rows at which bands end, growing, between 0 and 1.
    """

    def __init__(
        self,
        shape: LayerShape,
        splits: Sequence[float],
        embedding: FrequencyEmbedding | None = None,
    ) -> None:
        super().__init__()
        self.splits, self.shape = tuple(splits), shape
        self.bands = nn.ModuleList(SpecEncoderLayer(shape.unpadded()) for _ in (*splits, 1))
        self.embedding = embedding if embedding is not None else nn.Identity()

    def forward(self, x: Float[Tensor, "b c f n"]) -> Float[Tensor, "b c2 f2 n"]:
        """Encode one level."""
        padding, encoded = self.shape.padding, []
        spans = list(encoder_bands(x.shape[2], self.splits, self.shape.kernel, self.shape.stride))
        for index, (band, (start, stop)) in enumerate(zip(self.bands, spans, strict=True)):
            above = padding if index == 0 else 0
            below = padding if index == len(self.splits) else 0
            encoded.append(band(F.pad(x[:, :, start:stop], (0, 0, above, below))))
        return self.embedding(torch.cat(encoded, dim=2))  # type: ignore[no-any-return]


class BandSplitDecoderLayer(nn.Module):
    """(batch, width, freq, frames) -> (batch, outer, stride * freq, frames), band by band."""

    def __init__(self, shape: LayerShape, splits: Sequence[float], outermost: bool = False) -> None:
        super().__init__()
        self.splits, self.shape = tuple(splits), shape
        self.bands = nn.ModuleList(
            DecoderLayer(make_spec_conv_tr(shape), shape, 2, outermost=True, frames_only=True)
            for _ in (*splits, 1)
        )
        self.activation = nn.Identity() if outermost else nn.GELU()

    def forward(
        self, x: Float[Tensor, "b c f n"], skip: Float[Tensor, "b c f n"]
    ) -> Float[Tensor, "b c2 f2 n"]:
        """Decode one level."""
        shared, padding = self.shape.kernel - self.shape.stride, self.shape.padding
        decoded: list[Tensor] = []
        spans = decoder_bands(x.shape[2], self.splits)
        for band, (start, stop) in zip(self.bands, spans, strict=True):
            assert isinstance(band, DecoderLayer)
            rows = band.expand(band.merge(x[:, :, start:stop], skip[:, :, start:stop]))
            if decoded:
                # Both bands wrote to these rows; their sum holds the bias twice.
                before = decoded.pop()
                met = before[:, :, -shared:] + rows[:, :, :shared] - band.bias()
                decoded += [before[:, :, :-shared], met]
                rows = rows[:, :, shared:]
            decoded.append(rows)
        joined = torch.cat(decoded, dim=2)
        return self.activation(joined[:, :, padding : joined.shape[2] - padding])  # type: ignore[no-any-return]
