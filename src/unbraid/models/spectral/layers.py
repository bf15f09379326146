"""Layers of the spectral and the time branch, and the two that join them.

Encoder layer: strided convolution, norm, GELU, residual branches, gate.
Decoder layer: add the skip, gate, residual branches, transposed convolution, norm, trim, GELU.

The spectral branch strides over frequency only, the time branch over time; both by the same
factor, so that they meet with one step per STFT frame. `MeetingEncoder` adds the two,
`PartingDecoder` splits them again. Source: arXiv:2111.03600, figure 1 and section 3.2.
"""

from __future__ import annotations

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from unbraid.models.layers.embedding import FrequencyEmbedding
from unbraid.models.layers.levels import LayerShape
from unbraid.models.layers.residual import ResidualBranches, make_norm
from unbraid.shapes import Float


class Gate(nn.Sequential):
    """Convolution to twice the width, norm, GLU. Shape: (batch, width, ...) -> the same."""

    def __init__(self, shape: LayerShape, dims: int, frames_only: bool = False) -> None:
        span, context = 1 + 2 * shape.context, shape.context
        conv: nn.Module
        if dims == 1:
            conv = nn.Conv1d(shape.width, 2 * shape.width, span, padding=context)
        else:
            rows, rows_padding = (1, 0) if frames_only else (span, context)
            conv = nn.Conv2d(
                shape.width, 2 * shape.width, (rows, span), padding=(rows_padding, context)
            )
        super().__init__()
        self.conv = conv
        self.norm = make_norm(shape.norm_groups, 2 * shape.width)
        self.glu = nn.GLU(dim=1)


def _make_gate(shape: LayerShape, dims: int, frames_only: bool = False) -> nn.Module:
    return Gate(shape, dims, frames_only) if shape.gate else nn.Identity()


def _make_residual(shape: LayerShape) -> ResidualBranches | None:
    return None if shape.residual is None else ResidualBranches(shape.width, shape.residual)


def apply_over_time(branches: ResidualBranches | None, x: Tensor) -> Tensor:
    """Run residual branches along time; every frequency row is an item of its own."""
    if branches is None:
        return x
    if x.ndim == 3:
        return branches(x)  # type: ignore[no-any-return]
    rows = branches(rearrange(x, "b c f n -> (b f) c n"))
    y: Tensor = rearrange(rows, "(b f) c n -> b c f n", b=x.shape[0])
    return y


class EncoderLayer(nn.Module):
    """What both branches share: everything after the convolution."""

    def __init__(self, conv: nn.Module, shape: LayerShape, dims: int) -> None:
        super().__init__()
        self.conv = conv
        self.norm = make_norm(shape.norm_groups, shape.width)
        self.residual = _make_residual(shape)
        self.gate = _make_gate(shape, dims)

    def refine(self, y: Tensor) -> Tensor:
        """Norm, GELU, residual branches, gate."""
        y = apply_over_time(self.residual, F.gelu(self.norm(y)))
        return self.gate(y)  # type: ignore[no-any-return]


class SpecEncoderLayer(EncoderLayer):
    """Over frequency: (batch, outer, freq, frames) -> (batch, width, freq / stride, frames)."""

    def __init__(self, shape: LayerShape, embedding: FrequencyEmbedding | None = None) -> None:
        super().__init__(make_spec_conv(shape), shape, dims=2)
        self.embedding = embedding if embedding is not None else nn.Identity()

    def forward(self, x: Float[Tensor, "b c f n"]) -> Float[Tensor, "b c2 f2 n"]:
        """Encode one level; the embedding, where there is one, is last and so enters the skip."""
        return self.embedding(self.refine(self.conv(x)))  # type: ignore[no-any-return]


class TimeEncoderLayer(EncoderLayer):
    """Strides over time: (batch, outer, steps) -> (batch, width, ceil(steps / stride))."""

    def __init__(self, shape: LayerShape) -> None:
        super().__init__(make_time_conv(shape), shape, dims=1)
        self.stride = shape.stride

    def forward(self, x: Float[Tensor, "b c t"]) -> Float[Tensor, "b c2 t2"]:
        """Encode one level."""
        return self.refine(self.conv(pad_to_multiple(x, self.stride)))


def make_spec_conv(shape: LayerShape) -> nn.Conv2d:
    """The strided convolution of the spectral branch."""
    kernel, stride, padding = (shape.kernel, 1), (shape.stride, 1), (shape.padding, 0)
    return nn.Conv2d(shape.outer, shape.width, kernel, stride, padding)


def make_time_conv(shape: LayerShape) -> nn.Conv1d:
    """The strided convolution of the time branch."""
    return nn.Conv1d(shape.outer, shape.width, shape.kernel, shape.stride, padding=shape.padding)


def pad_to_multiple(x: Tensor, stride: int) -> Tensor:
    """Zeros on the right, so that a strided convolution gives ceil(steps / stride) steps."""
    return F.pad(x, (0, -x.shape[-1] % stride))


class MeetingEncoder(EncoderLayer):
    """The last frequency level, where the time branch joins.

    Its spectral convolution takes all frequency rows left to a single one; the time convolution
    gives as many steps as there are frames. Their sum goes through one norm, one set of residual
    branches, one gate.
    """

    def __init__(self, spec: LayerShape, time: LayerShape) -> None:
        super().__init__(make_spec_conv(spec), spec, dims=2)
        self.time_conv = make_time_conv(time)
        self.stride = time.stride

    def forward(
        self, x: Float[Tensor, "b c f n"], t: Float[Tensor, "b c2 t"]
    ) -> Float[Tensor, "b c3 1 n"]:
        """Add both branches and refine the sum."""
        met = self.conv(x) + self.time_conv(pad_to_multiple(t, self.stride))[:, :, None]
        return self.refine(met)


class DecoderLayer(nn.Module):
    """What both branches share: everything up to the transposed convolution, and its norm.

    `outermost` leaves out the activation at the end, since the result is a signal; `frames_only`
    keeps the gate from looking at neighbouring frequency rows.
    """

    def __init__(
        self,
        conv: nn.Module,
        shape: LayerShape,
        dims: int,
        outermost: bool = False,
        frames_only: bool = False,
    ) -> None:
        super().__init__()
        self.gate = _make_gate(shape, dims, frames_only)
        self.residual = _make_residual(shape)
        self.conv = conv
        self.norm = make_norm(shape.norm_groups, shape.outer)
        self.activation = nn.Identity() if outermost else nn.GELU()

    def merge(self, x: Tensor, skip: Tensor) -> Tensor:
        """Add the skip, gate, residual branches."""
        return apply_over_time(self.residual, self.gate(x + skip))

    def bias(self) -> Tensor:
        """What the transposed convolution adds to every row, (outer, 1, 1)."""
        bias = self.conv.bias
        assert isinstance(bias, Tensor)
        return bias[:, None, None]

    def expand(self, y: Tensor) -> Tensor:
        """Transposed convolution and norm, before anything is cut off."""
        return self.norm(self.conv(y))  # type: ignore[no-any-return]


class SpecDecoderLayer(DecoderLayer):
    """(batch, width, freq, frames) -> (batch, outer, stride * freq, frames)."""

    def __init__(self, shape: LayerShape, outermost: bool = False) -> None:
        super().__init__(make_spec_conv_tr(shape), shape, dims=2, outermost=outermost)
        self.padding = shape.padding

    def forward(
        self, x: Float[Tensor, "b c f n"], skip: Float[Tensor, "b c f n"]
    ) -> Float[Tensor, "b c2 f2 n"]:
        """Decode one level."""
        z = self.expand(self.merge(x, skip))
        kept = z[:, :, self.padding : z.shape[2] - self.padding]
        return self.activation(kept)  # type: ignore[no-any-return]


class TimeDecoderLayer(DecoderLayer):
    """(batch, width, steps) -> (batch, outer, samples), samples <= stride * steps."""

    def __init__(self, shape: LayerShape, outermost: bool = False) -> None:
        super().__init__(make_time_conv_tr(shape), shape, dims=1, outermost=outermost)
        self.padding = shape.padding

    def forward(
        self, x: Float[Tensor, "b c t"], skip: Float[Tensor, "b c t"], samples: int
    ) -> Float[Tensor, "b c2 t2"]:
        """Decode one level to the length its encoder layer was given."""
        z = self.expand(self.merge(x, skip))
        return self.activation(z[..., self.padding : self.padding + samples])  # type: ignore[no-any-return]


class PartingDecoder(DecoderLayer):
    """Mirror of `MeetingEncoder`: one gate, then a transposed convolution for each branch."""

    def __init__(self, spec: LayerShape, time: LayerShape) -> None:
        super().__init__(make_spec_conv_tr(spec), spec, dims=2)
        self.time_conv = make_time_conv_tr(time)
        self.time_norm = make_norm(time.norm_groups, time.outer)
        self.padding = time.padding  # of the time branch; the spectral one has none here

    def forward(
        self, x: Float[Tensor, "b c 1 n"], skip: Float[Tensor, "b c 1 n"], samples: int
    ) -> tuple[Float[Tensor, "b c2 f n"], Float[Tensor, "b c3 t"]]:
        """The spectral and the time branch, the latter `samples` steps long."""
        y = self.merge(x, skip)
        t = self.time_norm(self.time_conv(y.squeeze(2)))
        t = t[..., self.padding : self.padding + samples]
        return self.activation(self.expand(y)), self.activation(t)


def make_spec_conv_tr(shape: LayerShape) -> nn.ConvTranspose2d:
    """Transposed convolution over frequency."""
    return nn.ConvTranspose2d(shape.width, shape.outer, (shape.kernel, 1), (shape.stride, 1))


def make_time_conv_tr(shape: LayerShape) -> nn.ConvTranspose1d:
    """Transposed convolution over time."""
    return nn.ConvTranspose1d(shape.width, shape.outer, shape.kernel, shape.stride)
