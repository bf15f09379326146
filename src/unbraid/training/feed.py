"""Batches of an epoch, for one process of a team: order, shares, augmentation, prefetching.

All randomness depends on (seed, epoch, step) and is drawn for the whole batch, of which each
process uses its share. So neither the number of processes nor resuming changes the data: the same
step always sees the same data.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from unbraid.data.augment import augment
from unbraid.data.excerpts import Excerpts
from unbraid.data.resident import Resident
from unbraid.errors import SettingsError
from unbraid.shapes import Sources
from unbraid.side_by_side import ahead
from unbraid.training.config import Recipe
from unbraid.training.distributed import Team
from unbraid.training.seeds import generator_of
from unbraid.words import counted

_MOST_WORKERS = 8


@dataclass(frozen=True)
class Batch:
    """One process's share of a step.

    Attributes:
        sources: excerpts as on disk, (share, stems, channels, samples), on the device if the
            training set is.
        indices: of all excerpts of the step, of all processes.
        waited_s: seconds that the caller waited for it.
    """

    sources: Sources
    indices: list[int]
    waited_s: float


class Feed:
    """Batches for one process.

    Args:
        excerpts: the training set.
        recipe, team: of the run.
        sample_rate: Hz.
    Raises:
        SettingsError: if a batch cannot be divided, or there are too few excerpts for one.
    """

    def __init__(self, excerpts: Excerpts, recipe: Recipe, team: Team, sample_rate: int) -> None:
        self._excerpts, self._recipe, self._team = excerpts, recipe, team
        self._sample_rate = sample_rate
        self._batch_size = recipe.optimizer.batch_size
        check_shares(recipe, team.size)
        self.batches_per_epoch = len(excerpts) // self._batch_size
        if self.batches_per_epoch == 0:
            raise SettingsError(
                f"the training set has {counted(len(excerpts), 'excerpt')}, fewer than "
                f"optimizer.batch_size {self._batch_size}; make it or excerpts.stride_s smaller"
            )
        self._workers = worker_count(recipe.data.workers, team.size)
        self._resident = Resident(excerpts, team.device) if recipe.data.resident else None

    @property
    def audio_seconds(self) -> float:
        """Seconds of mixture that the model sees in one step, all processes together."""
        samples = self._excerpts.samples / self._sample_rate - self._recipe.augment.shift_s
        return self._batch_size * samples

    def batches(self, epoch: int, first: int = 0, attempt: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from number `first` on; another `attempt`, another order."""
        order = epoch_order(len(self._excerpts), self._recipe.seed, epoch, attempt)
        steps = [
            order[number * self._batch_size : (number + 1) * self._batch_size]
            for number in range(first, self.batches_per_epoch)
        ]
        share = self._batch_size // self._team.size
        begin = self._team.rank * share
        self._excerpts.set_epoch(epoch)
        if self._resident is not None:
            yield from self._resident_batches(self._resident, steps, begin, share)
            return
        loader = iter(
            DataLoader(
                self._excerpts,
                batch_sampler=[indices[begin : begin + share] for indices in steps],
                num_workers=self._workers,
                pin_memory=self._team.device.startswith("cuda"),
                # A generator of its own, or the loader would use the run's.
                generator=generator_of(self._recipe.seed, "loader", epoch),
                worker_init_fn=_begin_worker,
            )
        )
        for indices in steps:
            asked = time.perf_counter()
            sources = next(loader)
            yield Batch(sources, indices, time.perf_counter() - asked)

    def place(self, index: int) -> str:
        """Which tracks an excerpt of the running epoch comes from."""
        sounds = None if self._resident is None else self._resident.sounds
        return self._excerpts.place(index, sounds)[0]

    def _resident_batches(
        self, resident: Resident, steps: list[list[int]], begin: int, share: int
    ) -> Iterator[Batch]:
        """Places to cut are drawn during the previous step."""
        with closing(ahead(resident.cuts(step[begin : begin + share]) for step in steps)) as cuts:
            for indices in steps:
                asked = time.perf_counter()
                sources = resident.cut(next(cuts))
                yield Batch(sources, indices, time.perf_counter() - asked)

    def augmented(self, sources: Sources, step: int, attempt: int = 0) -> Tensor:
        """One process's share after augmentation, (share, stems, channels, fewer samples)."""
        generator = generator_of(self._recipe.seed, "augment", step, attempt)
        share = self._team.rank, self._team.size
        return augment(
            sources, self._recipe.augment, self._sample_rate, generator,
            stems=self._excerpts.stems, share=share,
        )  # fmt: skip


def check_shares(recipe: Recipe, processes: int) -> None:
    """Raise `SettingsError` unless a batch divides into whole parts and groups."""
    size, group = recipe.optimizer.batch_size, max(1, recipe.augment.remix_group)
    share = math.lcm(recipe.optimizer.accumulate, group)
    if size % (processes * share):
        raise SettingsError(
            f"optimizer.batch_size {size} is divided among "
            f"{counted(processes, 'process', 'processes')}, in "
            f"optimizer.accumulate {recipe.optimizer.accumulate} parts, and mixed in groups of "
            f"augment.remix_group {recipe.augment.remix_group}; make it a multiple of "
            f"{processes * share}"
        )


def epoch_order(count: int, seed: int, epoch: int, attempt: int = 0) -> list[int]:
    """The order of an epoch's excerpts.

    >>> sorted(epoch_order(5, seed=42, epoch=0))
    [0, 1, 2, 3, 4]
    """
    order: list[int] = torch.randperm(
        count, generator=generator_of(seed, "order", epoch, attempt)
    ).tolist()
    return order


def worker_count(asked: int, processes: int = 1) -> int:
    """How many processes prepare data for each process of a team; -1 for as many as help."""
    if asked >= 0:
        return asked
    cores = os.cpu_count() or 1
    return min(_MOST_WORKERS, max(0, cores // processes - 1))


def _begin_worker(worker: int) -> None:
    """One thread; ignores signals that a terminal or Slurm sends to all: the run stops them."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
