"""A song of any length in constant memory: its loudness in one pass, its stems in a second.

The loudness of the whole song must be known before its first segment, so the song is read twice
(once more for each further model of a bag). Nothing of it is kept but a few segments.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from unbraid.errors import ShapeError
from unbraid.models.bag import Bag
from unbraid.models.base import SeparationModel
from unbraid.models.layers.recurrent import one_thread
from unbraid.separation.engine import as_bag, run_pass
from unbraid.separation.plan import Pass, plan_passes
from unbraid.separation.progress import CancelToken, Progress, Work
from unbraid.separation.settings import DEFAULT_SETTINGS, SeparationSettings
from unbraid.shapes import Estimates

EPSILON = 1e-8
"""Added to the standard deviation: as in the public package, version 4."""


@dataclass(frozen=True)
class Loudness:
    """What a song is normalized by, for each item of a batch.

    Attributes:
        mean: of all samples, (b,).
        std: of the mean of the channels over time, unbiased, (b,). Where the channels cancel (60 dB
            below what they differ by) or there is a single sample, it would say nothing about the
            song: there it is that of all samples of all channels. It is 0 only where every sample
            equals the mean: in silence, or constant DC.
    """

    mean: Float[Tensor, " b"]
    std: Float[Tensor, " b"]

    def normalize(self, mixture: Float[Tensor, "b c n"]) -> Float[Tensor, "b c n"]:
        """(mixture - mean) / (std + 1e-8), as a copy in float32."""
        mean, std = self.mean.to(mixture.device), self.std.to(mixture.device)
        with one_thread(mixture.device):
            centred = mixture.to(torch.float32) - mean[:, None, None]
            return centred / (std + EPSILON)[:, None, None]

    def restore(self, estimates: Float[Tensor, "b s c n"]) -> Float[Tensor, "b s c n"]:
        """The inverse for estimates: the mean is shared out among the stems, so that they add up.

        Where std is 0 there is nothing to separate, and each stem is its share of the mean.
        """
        mean = self.mean.to(estimates.device)[:, None, None, None] / estimates.shape[1]
        std = self.std.to(estimates.device)[:, None, None, None]
        with one_thread(estimates.device):
            return torch.where(std > 0, estimates * (std + EPSILON), 0.0) + mean


class LoudnessMeter:
    """Loudness of a song that comes in blocks, in float64.

    Blocks are merged by Chan, Golub and LeVeque's update ("Algorithms for computing the sample
    variance", 1983), with the first sample as origin: a constant gives a deviation of exactly 0.
    """

    def __init__(self) -> None:
        self._count = 0
        self._origin = self._mean = self._squares = self._side = torch.zeros(0)

    def push(self, block: Float[Tensor, "b c n"]) -> None:
        """Take the next block into account; it may be empty."""
        if block.shape[-1] == 0:
            return
        # A block is small: threads gain nothing, and cost much where other programs have the cores.
        with one_thread(torch.device("cpu")):
            self._push(block.detach().to("cpu", torch.float64))

    def _push(self, signal: Float[Tensor, "b c n"]) -> None:
        added = signal.shape[-1]
        middle = signal.mean(dim=1)
        if self._count == 0:
            self._origin = middle[:, 0].clone()
            self._mean = self._squares = self._side = torch.zeros_like(self._origin)
        from_origin = middle - self._origin[:, None]
        block_mean = from_origin.mean(dim=-1)
        block_squares = (from_origin - block_mean[:, None]).square().sum(dim=-1)
        total = self._count + added
        delta = block_mean - self._mean
        self._mean = self._mean + delta * (added / total)
        self._squares = (
            self._squares + block_squares + delta.square() * (self._count * added / total)
        )
        # What the channels differ by: their squared distance to the middle, mean over channels.
        self._side = self._side + (signal - middle[:, None]).square().mean(dim=1).sum(dim=-1)
        self._count = total

    def result(self) -> Loudness:
        """Loudness of all that was pushed.

        Raises:
            ShapeError: if that was not a single sample.
        """
        if self._count == 0:
            raise ShapeError("the loudness of a song takes at least one sample, got none")
        middle = self._squares / max(1, self._count - 1)
        side = self._side / self._count
        cancels = (middle < 1e-6 * side) | (self._count == 1)
        variance = torch.where(cancels, self._squares / self._count + side, middle)
        return Loudness(
            mean=(self._origin + self._mean).to(torch.float32),
            std=variance.sqrt().to(torch.float32),
        )


def measure_loudness(blocks: Iterable[Float[Tensor, "b c _n"]]) -> Loudness:
    """Loudness of a song in blocks, or of one in memory: `measure_loudness([mixture])`.

    >>> measure_loudness([torch.tensor([[[1.0, 3.0], [1.0, 3.0]]])]).mean
    tensor([2.])
    """
    meter = LoudnessMeter()
    for block in blocks:
        meter.push(block)
    return meter.result()


def separate_blocks(
    model: SeparationModel,
    blocks: Callable[[], Iterable[Float[Tensor, "b c _n"]]],
    loudness: Loudness | None,
    settings: SeparationSettings = DEFAULT_SETTINGS,
    *,
    samples: int,
    scratch_dir: Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    cancel: CancelToken | None = None,
) -> Iterator[Estimates]:
    """Separate a song from blocks into blocks: what `apply_model` gives, in constant memory.

    The models of a bag run one after the other, each over the whole song; their sum waits in a
    temporary file that has no name on POSIX systems and so goes with the process, whatever ends it.
    It takes 4 bytes x stems x channels x samples; a single model takes none.

    Args:
        model: a model or a `Bag`, already on its device.
        blocks: gives the song from its start each time it is called, in blocks (b, c, n) of any
            lengths, floating point, at the model's sample rate; the batch is for channel groups
            of one song.
        loudness: by which the song is normalized and the estimates restored; None for neither.
        settings: segments, overlap, shifts.
        samples: length of the song.
        scratch_dir: a folder for the temporary file of a bag; the system's if None.
        on_progress, cancel: as in `apply_model`.
    Returns:
        an iterator of float32 estimates (b, s, c, n), n >= 1, in order, together `samples` long.
    Raises:
        SettingsError: at the call, if the settings do not fit the model.
        ShapeError: if samples is 0, or, while iterating, if the blocks are not what was announced.
        Cancelled: while iterating.
        OSError: while iterating, if the temporary file cannot be written.
    """
    if samples < 1:
        raise ShapeError(f"a song has at least one sample, got {samples}")
    bag = as_bag(model)
    passes = plan_passes(bag, samples, settings)
    work = Work(sum(plan.work for plan in passes), "separate", on_progress, cancel)

    def normalized() -> Iterator[Tensor]:
        for block in blocks():
            _check_block(block, bag.spec.channels, loudness)
            yield block if loudness is None else loudness.normalize(block)

    separated = _sum_of_passes(bag, passes, normalized, work, scratch_dir)
    return separated if loudness is None else map(loudness.restore, separated)


def _check_block(block: Tensor, channels: int, loudness: Loudness | None) -> None:
    batch = "batch" if loudness is None else str(loudness.mean.shape[0])
    fits = block.ndim == 3 and block.shape[1] == channels and block.is_floating_point()
    if not fits or (loudness is not None and block.shape[0] != loudness.mean.shape[0]):
        raise ShapeError(
            f"blocks of the song are floating point, ({batch}, {channels} channels, samples), "
            f"got {block.dtype} of shape {tuple(block.shape)}"
        )


def _sum_of_passes(
    bag: Bag,
    passes: list[Pass],
    blocks: Callable[[], Iterable[Tensor]],
    work: Work,
    scratch_dir: Path | None,
) -> Iterator[Estimates]:
    work.start()
    *earlier, last = passes
    if not earlier:
        yield from run_pass(bag.member(last.member), last, blocks(), work)
        return
    with tempfile.TemporaryFile(dir=scratch_dir) as file:
        scratch = _Scratch(file)
        for plan in earlier:
            for position, block in _placed(run_pass(bag.member(plan.member), plan, blocks(), work)):
                scratch.write(
                    position, block if plan is passes[0] else scratch.plus(position, block)
                )
        for position, block in _placed(run_pass(bag.member(last.member), last, blocks(), work)):
            yield scratch.plus(position, block)


def _placed(blocks: Iterable[Tensor]) -> Iterator[tuple[int, Tensor]]:
    position = 0
    for block in blocks:
        yield position, block
        position += block.shape[-1]


class _Scratch:
    """Estimates (b s c n) on disk, sample after sample, so that any stretch lies in one piece."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, position: int, block: Tensor) -> None:
        flat = np.ascontiguousarray(np.moveaxis(block.cpu().numpy(), -1, 0))
        self._seek(position, block)
        self._file.write(flat.data)

    def plus(self, position: int, block: Tensor) -> Tensor:
        """The block with what stands in its place added to it."""
        *shape, count = block.shape
        self._seek(position, block)
        raw = self._file.read(block.numel() * 4)
        flat = np.frombuffer(raw, dtype=np.float32).reshape(count, *shape)
        return torch.from_numpy(np.moveaxis(flat, 0, -1).copy()).to(block.device) + block

    def _seek(self, position: int, block: Tensor) -> None:
        self._file.seek(position * 4 * math.prod(block.shape[:-1]))
