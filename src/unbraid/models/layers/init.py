"""Start values that hold for a whole model."""

from __future__ import annotations

import torch
from torch import nn

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d)


def rescale_convolutions(model: nn.Module, reference: float) -> None:
    """Draw the spread of all convolution weights towards `reference`, in place.

    A weight of standard deviation s, and its bias, are divided by sqrt(s / reference); the new
    deviation is sqrt(s * reference). Source: Défossez et al. 2019, arXiv:1911.13254, section 3.

    Note that it also hits the decay rates of `LocalAttention`, whose weights are tiny: their bias
    goes from -2 to about -30, so attention starts without any decay. Published models were trained
    so.
    """
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, _CONVOLUTIONS) and _has_spread(module.weight):
                factor = (module.weight.std() / reference).sqrt()
                module.weight.div_(factor)
                if module.bias is not None:
                    module.bias.div_(factor)


def has_memory(weight: torch.Tensor) -> bool:
    """Whether a weight has values.

    On torch's meta device it has none; to draw them all the same, torch loads its compiler first,
    which takes seconds.
    """
    return not weight.is_meta


def _has_spread(weight: torch.Tensor) -> bool:
    return weight.numel() > 1 and has_memory(weight)
