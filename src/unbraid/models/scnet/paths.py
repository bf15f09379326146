"""The separation network of SCNet: LSTMs along frequency and along time. arXiv:2401.13276, 3.3."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from unbraid.shapes import Float


class SeparationNet(nn.Module):
    """Layers that see time, and in turn the Fourier transform of time, with twice the features.

    Shape: (batch, width, freq, frames) -> the same; frames are even, layers too.
    """

    def __init__(self, width: int, expansion: int, layers: int) -> None:
        super().__init__()
        self.dp_modules = nn.ModuleList(
            DualPath(width * (1 + index % 2), expansion) for index in range(layers)
        )

    def forward(self, x: Float[Tensor, "b c f n"]) -> Float[Tensor, "b c f n"]:
        """Run all layers."""
        for index, layer in enumerate(self.dp_modules):
            x = layer(x)
            x = _from_fourier(x) if index % 2 else _to_fourier(x)
        return x


class DualPath(nn.Module):
    """An LSTM both ways along frequency, then one along time, each added to its input."""

    def __init__(self, width: int, expansion: int) -> None:
        super().__init__()
        hidden = width * expansion
        self.lstm_layers = nn.ModuleList(
            nn.LSTM(width, hidden, batch_first=True, bidirectional=True) for _ in range(2)
        )
        self.linear_layers = nn.ModuleList(nn.Linear(2 * hidden, width) for _ in range(2))
        self.norm_layers = nn.ModuleList(nn.GroupNorm(1, width) for _ in range(2))

    def forward(self, x: Float[Tensor, "b c f n"]) -> Float[Tensor, "b c f n"]:
        """Same shape."""
        batch = x.shape[0]
        y = self._path(0, rearrange(self.norm_layers[0](x), "b c f n -> (b n) f c"))
        x = x + rearrange(y, "(b n) f c -> b c f n", b=batch)
        y = self._path(1, rearrange(self.norm_layers[1](x), "b c f n -> (b f) n c"))
        return x + rearrange(y, "(b f) n c -> b c f n", b=batch)

    def _path(self, path: int, rows: Tensor) -> Tensor:
        hidden = self.lstm_layers[path](rows)[0]
        return self.linear_layers[path](hidden)  # type: ignore[no-any-return]


def _to_fourier(x: Tensor) -> Tensor:
    z = torch.fft.rfft(x, dim=-1, norm="ortho")
    return torch.cat([z.real, z.imag], dim=1)


def _from_fourier(x: Tensor) -> Tensor:
    real, imaginary = x.chunk(2, dim=1)
    z = torch.complex(real.contiguous(), imaginary.contiguous())
    y: Tensor = torch.fft.irfft(z, dim=-1, norm="ortho")
    return y
