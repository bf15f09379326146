"""The shared core: the readable layers, with faster LSTM, attention and one-row convolutions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unbraid.engines.torch.inference.attention import attend
from unbraid.engines.torch.inference.recurrent import QuickLSTM
from unbraid.engines.torch.inference.steps import HopConvolution
from unbraid.models.layers.attention import LocalAttention
from unbraid.models.layers.recurrent import SpanLSTM
from unbraid.models.layers.residual import ResidualBranch, ResidualBranches
from unbraid.models.spectral.layers import (
    EncoderLayer,
    Gate,
    MeetingEncoder,
    PartingDecoder,
    TimeDecoderLayer,
    TimeEncoderLayer,
    pad_to_multiple,
)


class CoreBranches:
    """`ResidualBranches` on (1, width, steps), with LSTM and attention where they are."""

    def __init__(self, branches: ResidualBranches) -> None:
        self._branches: list[ResidualBranch] = list(branches.branches)  # type: ignore[arg-type]
        self._lstms = [
            QuickLSTM(branch.lstm) if isinstance(branch.lstm, SpanLSTM) else branch.lstm
            for branch in self._branches
        ]

    def __call__(self, x: Float[Tensor, "1 c t"]) -> Float[Tensor, "1 c t"]:
        """x + branch(x), branch by branch."""
        for branch, lstm in zip(self._branches, self._lstms, strict=True):
            h = branch.activation(branch.squeeze_norm(branch.squeeze(x)))
            h = lstm(h)
            if isinstance(branch.attention, LocalAttention):
                h = attend(branch.attention, h)
            h = branch.gate(branch.expand_norm(branch.expand(h)))
            x = torch.addcmul(x, branch.scale.scale[:, None], h)
        return x


def _branches(residual: nn.Module | Tensor | None) -> CoreBranches | None:
    return CoreBranches(residual) if isinstance(residual, ResidualBranches) else None


def run_gate(gate: nn.Module, x: Float[Tensor, "1 c t"]) -> Float[Tensor, "1 c t"]:
    """A gate on a single row: of a 3x3 kernel only the middle row sees anything."""
    if not isinstance(gate, Gate):
        return x
    weight, bias = gate.conv.weight, gate.conv.bias
    if weight.ndim == 4:
        weight = weight[:, :, weight.shape[2] // 2]
    y = F.conv1d(x, weight, bias, padding=weight.shape[2] // 2)
    out: Tensor = gate.glu(gate.norm(y))
    return out


class Core:
    """From the two branches to what both get back: meeting, shared layers, parting."""

    def __init__(
        self,
        meeting: MeetingEncoder,
        encoder: nn.ModuleList,
        decoder: nn.ModuleList,
        parting: PartingDecoder,
    ) -> None:
        self._meeting, self._parting = meeting, parting
        conv = meeting.conv
        assert isinstance(conv, nn.Conv2d) and conv.bias is not None
        self._time_conv, self._bias = HopConvolution(meeting.time_conv), conv.bias.detach()
        # All rows become one: a product for each, with its own part of the kernel.
        self._rows = conv.weight.detach()[..., 0].permute(2, 1, 0).contiguous()
        self._encoder: list[TimeEncoderLayer] = list(encoder)  # type: ignore[arg-type]
        self._decoder: list[TimeDecoderLayer] = list(decoder)  # type: ignore[arg-type]
        layers: list[nn.Module] = [meeting, *self._encoder, *self._decoder, parting]
        self._residuals = {id(layer): _branches(layer.residual) for layer in layers}

    def __call__(
        self, x: Float[Tensor, "f n c"], t: Float[Tensor, "m c2"]
    ) -> tuple[Float[Tensor, "f n c"], Float[Tensor, "m c2"]]:
        """Rows and steps in, rows and steps out, of the same shapes."""
        samples = len(t)
        met = self._meet(x, t)
        y, skips, lengths = met, [], []
        for layer in self._encoder:
            lengths.append(y.shape[-1])
            y = self._refine(layer, layer.conv(pad_to_multiple(y, layer.stride)))
            skips.append(y)
        y = torch.zeros_like(y)  # the innermost skip carries all there is
        for decoder in self._decoder:
            z = decoder.expand(self._merge(decoder, y + skips.pop()))
            y = decoder.activation(z[..., decoder.padding : decoder.padding + lengths.pop()])
        return self._part(self._merge(self._parting, y + met), samples)

    def _meet(self, x: Tensor, t: Tensor) -> Tensor:
        y = self._time_conv(t)
        for row, weight in zip(x, self._rows, strict=True):
            y.addmm_(row, weight)
        y += self._bias
        return self._refine(self._meeting, y.T[None].contiguous())

    def _refine(self, layer: EncoderLayer, y: Tensor) -> Tensor:
        y = F.gelu(layer.norm(y))
        residual = self._residuals[id(layer)]
        return run_gate(layer.gate, y if residual is None else residual(y))

    def _merge(self, layer: TimeDecoderLayer | PartingDecoder, y: Tensor) -> Tensor:
        y = run_gate(layer.gate, y)
        residual = self._residuals[id(layer)]
        return y if residual is None else residual(y)

    def _part(self, y: Tensor, samples: int) -> tuple[Tensor, Tensor]:
        layer = self._parting
        t = layer.time_norm(layer.time_conv(y))[..., layer.padding : layer.padding + samples]
        x = layer.activation(layer.expand(y[:, :, None]))
        t = layer.activation(t)
        return x[0].permute(1, 2, 0).contiguous(), t[0].T.contiguous()
