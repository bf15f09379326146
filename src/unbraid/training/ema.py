"""Moving averages of the weights, without the bias of their start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class Ema:
    """An exponential moving average of all float32 entries of a model's state.

    After k updates with values v_1 ... v_k it holds Σ d^(k-i) v_i / Σ d^(k-i): with count c <-
    d c + 1 and share w = 1 / c, the average moves by w towards each value. The first update takes
    the value itself, so the initial values do not matter.

    Source: the public Demucs training code.

    >>> average = Ema(nn.Linear(1, 1), decay=0.5)
    >>> average.update(nn.Linear(1, 1)); average.count
    1.0
    """

    def __init__(self, model: nn.Module, decay: float, device: str | None = None) -> None:
        self.decay, self.count = decay, 0.0
        self._device = device
        self.values = {
            name: value.detach().clone().to(device or value.device)
            for name, value in _entries(model)
        }

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Update with the model's state."""
        self.count = self.decay * self.count + 1
        mine = list(self.values.values())
        theirs = [value.detach().to(self._device or value.device) for _, value in _entries(model)]
        # lerp_(x, 1) is (almost) x: NaN or Inf in the start would stay.
        if self.count == 1:
            torch._foreach_copy_(mine, theirs)
        else:
            torch._foreach_lerp_(mine, theirs, 1 / self.count)

    def state(self) -> dict[str, Any]:
        """Its state, as plain values and tensors."""
        return {"decay": self.decay, "count": self.count, "values": dict(self.values)}

    def load(self, state: Mapping[str, Any]) -> None:
        """Restore a saved state."""
        self.decay, self.count = float(state["decay"]), float(state["count"])
        for name, value in self.values.items():
            value.copy_(state["values"][name])


def _entries(model: nn.Module) -> list[tuple[str, Tensor]]:
    return [(k, v) for k, v in model.state_dict().items() if v.dtype == torch.float32]


@contextmanager
def weights_of(model: nn.Module, values: Mapping[str, Tensor] | None) -> Iterator[nn.Module]:
    """Give the model other weights inside the block, in place; None keeps its own."""
    if values is None:
        yield model
        return
    own = {name: value.detach().clone() for name, value in model.state_dict().items()}
    try:
        model.load_state_dict({**own, **values})
        yield model
    finally:
        model.load_state_dict(own)
