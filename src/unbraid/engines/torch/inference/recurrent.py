"""`SpanLSTM` with its two directions side by side, each on a thread of its own.

The steps of one direction follow each other, so more threads do not help it, and waiting for each
other after every step can cost a hundred times the work (docs/decisions/0003). The two directions
of a layer do not meet before its end.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from unbraid.models.layers.recurrent import SpanLSTM, one_thread

_BATCH_FIRST, _BIASED, _NO_DROPOUT, _NO_TRAINING = False, True, 0.0, False


@lru_cache(maxsize=1)
def _helper() -> ThreadPoolExecutor:
    """One more thread, on which torch computes with no others."""
    return ThreadPoolExecutor(1, "unbraid-lstm", initializer=torch.set_num_threads, initargs=(1,))


class QuickLSTM:
    """The same as `layer`, for one item."""

    def __init__(self, layer: SpanLSTM) -> None:
        self._layer = layer
        lstm = layer.lstm
        self._directions = [
            [
                [getattr(lstm, f"{name}_l{number}{way}").detach() for name in _NAMES]
                for way in ("", "_reverse")
            ]
            for number in range(lstm.num_layers)
        ]

    def __call__(self, x: Float[Tensor, "1 c t"]) -> Float[Tensor, "1 c t"]:
        """Run along the last axis."""
        return self._layer.run_with(x, self._both_ways)

    def _both_ways(self, x: Float[Tensor, "t b c"]) -> Float[Tensor, "t b two_c"]:
        threads = torch.get_num_threads()
        with one_thread(x.device):
            for forth, back in self._directions:
                if threads > 1:
                    later = _helper().submit(_run_back, x, back)
                    x = torch.cat([_run(x, forth), later.result()], dim=2)
                else:
                    x = torch.cat([_run(x, forth), _run_back(x, back)], dim=2)
        return x


_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


@torch.no_grad()  # which belongs to the thread
def _run_back(x: Tensor, weights: list[Tensor]) -> Tensor:
    return _run(x.flip(0), weights).flip(0)


def _run(x: Tensor, weights: list[Tensor]) -> Tensor:
    hidden = weights[1].shape[1]
    start = x.new_zeros(1, x.shape[1], hidden)
    out: Tensor = torch.lstm(
        x,
        (start, start),
        weights,
        _BIASED,
        1,
        _NO_DROPOUT,
        _NO_TRAINING,
        False,  # one direction
        _BATCH_FIRST,
    )[0]
    return out
