"""What one pass of a model of torch costs."""

from __future__ import annotations

import time
import weakref
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from unbraid.models.base import SeparationModel


def live_bytes(model: SeparationModel, samples: int) -> int:
    """The most bytes of tensors that are alive at once during a pass over `samples`."""
    mixture = torch.randn(1, model.spec.channels, samples, generator=torch.Generator())
    sent = mixture.to(model.device)
    live = _LiveBytes()
    with torch.no_grad(), live:
        model(sent)
    return live.peak


def device_seconds(model: SeparationModel, noise: np.ndarray) -> float:
    """Seconds of one pass on a GPU."""
    mixture = torch.from_numpy(noise).to(model.device)
    begun = time.perf_counter()
    with torch.no_grad():
        model(mixture)
    if mixture.is_cuda:
        torch.cuda.synchronize(mixture.device)
    elif model.device == "mps":
        torch.mps.synchronize()
    return time.perf_counter() - begun


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of all tensors that are alive at once while the mode is on."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live: int = 0
        self.peak: int = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._count(leaf.untyped_storage())
        return result

    def _count(self, storage: Any) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self._known:
            self._known.add(key)
            self.live += size
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size
