"""Several processes as one run: each takes its share of a batch, all make the same step.

`torchrun` starts the processes and describes the team in the environment; without it a run
is a team of one. Gradients are averaged by one all-reduce of all of them, which is all that is
needed of torch.distributed here.
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
        rank, size: which one this is, of how many.
        device: what it computes on, as torch names devices.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def leads(self) -> bool:
        """Whether this process writes files and talks."""
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
        """What every process has here, by rank; plain values only."""
        if self.size == 1:
            return [value]
        gathered: list[Any] = [None] * self.size
        dist.all_gather_object(gathered, value)
        return gathered

    def wait(self) -> None:
        """Until all are here."""
        if self.size > 1:
            dist.barrier()

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """The leader goes through the block alone, the others after it find what it has kept."""
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
        device: as `--device` has it; on CUDA each process takes the GPU of its local rank.
    Raises:
        SettingsError: if the device is not there.
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
