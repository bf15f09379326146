"""A bidirectional LSTM that looks at a limited span."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from unbraid.errors import SettingsError
from unbraid.shapes import Float

Recurrence = Callable[[Tensor], Tensor]
"""An LSTM both ways: (steps, batch, width) -> (steps, batch, 2 * width)."""


class SpanLSTM(nn.Module):
    """Bidirectional LSTM over time, run on overlapping spans of a long input.

    An input longer than `span` steps is cut into spans that overlap by half; of each step the span
    is kept in which it lies farthest from an edge. All spans run side by side, so a long input
    costs no longer chain of steps.

    Shape: (batch, width, steps) -> the same. With `skip` the input is added to the output.

    Args:
        span: longest piece in steps, a multiple of 4; None for the whole input at once.
    Source: arXiv:2111.03600, section 3.3.
    """

    def __init__(
        self, width: int, layers: int = 2, span: int | None = 200, skip: bool = True
    ) -> None:
        super().__init__()
        if span is not None and (span <= 0 or span % 4):
            raise SettingsError(f"span must be a positive multiple of 4, got {span}")
        self.span, self.skip = span, skip
        self.lstm = nn.LSTM(width, width, layers, bidirectional=True)
        self.linear = nn.Linear(2 * width, width)

    def forward(self, x: Float[Tensor, "b c t"]) -> Float[Tensor, "b c t"]:
        """Run along the last axis."""
        return self.run_with(x, self._both_ways)

    def run_with(self, x: Float[Tensor, "b c t"], lstm: Recurrence) -> Float[Tensor, "b c t"]:
        """The same with another way to run the LSTM itself."""
        long = self.span is not None and x.shape[-1] > self.span
        y = self._run_spans(x, lstm) if long else self._run(x, lstm)
        return x + y if self.skip else y

    def _both_ways(self, x: Tensor) -> Tensor:
        with one_thread(x.device):
            hidden: Tensor = self.lstm(x)[0]
        return hidden

    def _run(self, x: Tensor, lstm: Recurrence) -> Tensor:
        hidden = lstm(rearrange(x, "b c t -> t b c"))
        y: Tensor = rearrange(self.linear(hidden), "t b c -> b c t")
        return y

    def _run_spans(self, x: Tensor, lstm: Recurrence) -> Tensor:
        assert self.span is not None
        steps, span, hop = x.shape[-1], self.span, self.span // 2
        count = math.ceil(steps / hop)
        spans = F.pad(x, (0, (count - 1) * hop + span - steps)).unfold(-1, span, hop)
        y = self._run(rearrange(spans, "b c n t -> (b n) c t"), lstm)
        y = rearrange(y, "(b n) c t -> b c n t", n=count)
        # Half of each overlap is taken from either side: the first span keeps its start, the last
        # its end, the ones between their middle [margin, span - margin).
        margin = hop // 2
        first = y[:, :, 0, : span - margin]
        middle = rearrange(y[:, :, 1:-1, margin : span - margin], "b c n t -> b c (n t)")
        last = y[:, :, -1, margin:]
        return torch.cat([first, middle, last], dim=-1)[..., :steps]


@contextmanager
def one_thread(device: torch.device) -> Iterator[None]:
    """Run CPU work on a single thread.

    An LSTM is a chain of hundreds of small steps. Threads meet after each of them, which gains
    little on idle cores, and costs a hundred times the work itself when another program has one.
    """
    if device.type != "cpu" or (threads := torch.get_num_threads()) == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
