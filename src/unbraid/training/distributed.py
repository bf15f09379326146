"""Several processes as one run: each takes its share of a batch, all make the same step.

`torchrun` starts the processes and describes the team in the environment; without it a run
is a team of one. Gradients are averaged by one all-reduce; nothing else of
torch.distributed is used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from unbraid.engines.devices import choose_device
from unbraid.errors import SettingsError

_PATIENCE = timedelta(hours=2)  # one process may have a far longer song to validate on


@dataclass(frozen=True)
class Team:
    """The processes of a run, seen from one of them.

    Attributes:
        rank, size: number of this process, and of all processes.
        device: where it computes, by torch's name.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def leads(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def mean_gradients(self, model: nn.Module) -> None:
        """Replace all gradients by their means over the team, in place."""
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        if self.size == 1 or not gradients:
            return
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.size
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """The mean over the team of a small tensor, the same in every process."""
        if self.size == 1:
            return values
        values = values.clone()
        dist.all_reduce(values)
        return values / self.size

    def gather(self, value: Any) -> list[Any]:
        """The values of all processes, by rank; plain values only."""
        if self.size == 1:
            return [value]
        gathered: list[Any] = [None] * self.size
        dist.all_gather_object(gathered, value)
        return gathered

    def wait(self) -> None:
        """Wait for all processes."""
        if self.size > 1:
            dist.barrier()

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """The leader runs the block first; the others then find its results."""
        if not self.leads:
            self.wait()
        try:
            yield
        finally:
            if self.leads:
                self.wait()


@contextmanager
def join_team(device: str = "auto") -> Iterator[Team]:
    """The team that the environment describes, for the time of a run.

    Args:
        device: as in `--device`; on CUDA each process uses the GPU of its local rank.
    Raises:
        SettingsError: if the device is missing.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Team(device=choose_device(device))
        return
    chosen = choose_device(device)
    if chosen.startswith("cuda"):
        if ":" in chosen:
            raise SettingsError("several processes choose their GPUs themselves; use --device cuda")
        chosen = choose_device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
        torch.cuda.set_device(chosen)
    dist.init_process_group("nccl" if chosen.startswith("cuda") else "gloo", timeout=_PATIENCE)
    try:
        yield Team(dist.get_rank(), size, chosen)
    finally:
        dist.destroy_process_group()
