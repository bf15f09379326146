"""A song of any length in constant memory: its loudness in one pass, its stems in a second.

The loudness of the whole song must be known before its first segment, so the song is read twice
(once more for each further model of a bag, and twice for each rotation). Nothing of it is kept but
a few segments.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from unbraid.errors import ShapeError
from unbraid.models.base import SeparationModel, TensorModel
from unbraid.models.compose.bag import Bag
from unbraid.separation.engine import as_bag, run_pass
from unbraid.separation.plan import Pass, plan_passes
from unbraid.separation.progress import UNWATCHED, Watch, Work
from unbraid.separation.settings import DEFAULT_SETTINGS, SeparationSettings
from unbraid.shapes import Float, Float32

EPSILON = 1e-8
"""Added to the standard deviation: as in the public package, version 4."""

EstimatesBlock = Float32[np.ndarray, "b s c _n"]


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

    mean: Float[np.ndarray, " b"]
    std: Float[np.ndarray, " b"]

    def normalize(self, mixture: Float[np.ndarray, "b c n"]) -> Float[np.ndarray, "b c n"]:
        """(mixture - mean) / (std + 1e-8), as a copy in float32."""
        centred: np.ndarray = mixture.astype(np.float32) - self.mean[:, None, None]
        centred /= (self.std + np.float32(EPSILON))[:, None, None]
        return centred

    def restore(self, estimates: Float[np.ndarray, "b s c n"]) -> Float[np.ndarray, "b s c n"]:
        """The inverse for estimates: the mean is shared out among the stems, so that they add up.

        Where std is 0 there is nothing to separate, and each stem is its share of the mean.
        """
        mean = self.mean[:, None, None, None] / np.float32(estimates.shape[1])
        std = self.std[:, None, None, None]
        with np.errstate(over="ignore"):  # infinities are reported where they leave the engine
            loud: np.ndarray = estimates * (std + np.float32(EPSILON))
        if not (std > 0).all():
            loud = np.where(std > 0, loud, np.float32(0))
        loud += mean
        return loud


class LoudnessMeter:
    """Loudness of a song that comes in blocks, in float64.

    Blocks are merged by Chan, Golub and LeVeque's update ("Algorithms for computing the sample
    variance", 1983), with the first sample as origin: a constant gives a deviation of exactly 0.
    """

    def __init__(self) -> None:
        self._count = 0
        self._origin = self._mean = self._squares = self._side = np.zeros(0)

    def push(self, block: Float[np.ndarray, "b c n"]) -> None:
        """Take the next block into account; it may be empty."""
        if block.shape[-1] == 0:
            return
        signal = block.astype(np.float64, copy=False)
        added = signal.shape[-1]
        middle = signal.mean(axis=1)
        if self._count == 0:
            self._origin = middle[:, 0].copy()
            self._mean = self._squares = self._side = np.zeros_like(self._origin)
        from_origin = middle - self._origin[:, None]
        block_mean = from_origin.mean(axis=-1)
        block_squares = np.square(from_origin - block_mean[:, None]).sum(axis=-1)
        total = self._count + added
        delta = block_mean - self._mean
        self._mean = self._mean + delta * (added / total)
        self._squares = (
            self._squares + block_squares + np.square(delta) * (self._count * added / total)
        )
        # What the channels differ by: their squared distance to the middle, mean over channels.
        aside = np.square(signal - middle[:, None]).mean(axis=1)
        self._side = self._side + aside.sum(axis=-1)
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
        variance = np.where(cancels, self._squares / self._count + side, middle)
        return Loudness(
            mean=(self._origin + self._mean).astype(np.float32),
            std=np.sqrt(variance).astype(np.float32),
        )


def measure_loudness(blocks: Iterable[Float[np.ndarray, "b c _n"]]) -> Loudness:
    """Loudness of a song in blocks, or of one in memory: `measure_loudness([mixture])`.

    >>> measure_loudness([np.array([[[1.0, 3.0], [1.0, 3.0]]])]).mean
    array([2.], dtype=float32)
    """
    meter = LoudnessMeter()
    for block in blocks:
        meter.push(block)
    return meter.result()


def separate_blocks(
    model: SeparationModel | TensorModel,
    blocks: Callable[[], Iterable[Float[np.ndarray, "b c _n"]]],
    loudness: Loudness | None,
    settings: SeparationSettings = DEFAULT_SETTINGS,
    *,
    samples: int,
    scratch_dir: Path | None = None,
    watch: Watch = UNWATCHED,
) -> Generator[EstimatesBlock, None, None]:
    """Separate a song from blocks into blocks: what `apply_model` gives, in constant memory.

    The models of a bag, and rotations, run one after the other, each over the whole song; their sum
    waits in a temporary file that has no name on POSIX systems and so goes with the process,
    whatever ends it. It takes 4 bytes x stems x channels x samples; a single model takes none.

    Args:
        model: a model or a `Bag`, already on its device.
        blocks: gives the song from its start each time it is called, in blocks (b, c, n) of any
            lengths, floating point, at the model's sample rate; the batch is for channel groups
            of one song.
        loudness: normalizes the song and restores the estimates; None for neither.
        settings: segments, overlap, shifts.
        samples: length of the song.
        scratch_dir: a folder for the temporary file of a bag; the system's if None.
        watch: receives progress before the first forward pass and after each, and when the model is
            free; looked at before each forward pass.
    Returns:
        float32 estimates (b, s, c, n), n >= 1, in order, together `samples` long; `close()` ends
            them early, and closes what `blocks` has open.
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
    work = Work(sum(plan.work for plan in passes), "separate", watch)

    def normalized() -> Iterator[np.ndarray]:
        for block in blocks():
            _check_block(block, bag.spec.channels, loudness)
            yield block if loudness is None else loudness.normalize(block)

    separated = _sum_of_passes(bag, passes, normalized, work, scratch_dir, watch.on_free)
    return _restored(separated, loudness)


def _restored(
    separated: Iterator[EstimatesBlock], loudness: Loudness | None
) -> Generator[EstimatesBlock, None, None]:
    for block in separated:
        yield block if loudness is None else loudness.restore(block)


def _check_block(block: np.ndarray, channels: int, loudness: Loudness | None) -> None:
    batch = "batch" if loudness is None else str(loudness.mean.shape[0])
    fits = (
        block.ndim == 3 and block.shape[1] == channels and np.issubdtype(block.dtype, np.floating)
    )
    if not fits or (loudness is not None and block.shape[0] != loudness.mean.shape[0]):
        raise ShapeError(
            f"blocks of the song are floating point, ({batch}, {channels} channels, samples), "
            f"got {block.dtype} of shape {tuple(block.shape)}"
        )


def _sum_of_passes(
    bag: Bag,
    passes: list[Pass],
    blocks: Callable[[], Iterable[np.ndarray]],
    work: Work,
    scratch_dir: Path | None,
    on_free: Callable[[], None] | None,
) -> Iterator[EstimatesBlock]:
    work.start()
    *earlier, last = passes
    if not earlier:
        for _, block in run_pass(bag.member(last.member), last, blocks, work, on_free):
            yield block
        return
    with tempfile.TemporaryFile(dir=scratch_dir) as file:
        scratch = _Scratch(file)
        for plan in earlier:
            for position, block in run_pass(bag.member(plan.member), plan, blocks, work):
                scratch.write(
                    position, block if plan is passes[0] else scratch.plus(position, block)
                )
        for position, block in run_pass(bag.member(last.member), last, blocks, work, on_free):
            yield scratch.plus(position, block)


class _Scratch:
    """Estimates (b s c n) on disk, sample after sample, so that any stretch lies in one piece."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, position: int, block: np.ndarray) -> None:
        flat = np.ascontiguousarray(np.moveaxis(block, -1, 0))
        self._seek(position, block)
        self._file.write(flat.data)

    def plus(self, position: int, block: np.ndarray) -> np.ndarray:
        """The block, with the samples at its place added to it."""
        *shape, count = block.shape
        self._seek(position, block)
        raw = self._file.read(block.size * 4)
        flat = np.frombuffer(raw, dtype=np.float32).reshape(count, *shape)
        total: np.ndarray = np.ascontiguousarray(np.moveaxis(flat, 0, -1)) + block
        return total

    def _seek(self, position: int, block: np.ndarray) -> None:
        self._file.seek(position * 4 * math.prod(block.shape[:-1]))
