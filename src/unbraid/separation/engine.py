"""A whole song through any `SeparationModel`: bag → shifts → segments → model → overlap-add.

One way for all: a song in memory and a song in blocks (`streaming.py`) take the same steps in the
same order, so their results are the same bit for bit. For each model of the bag the song flows by
once, with the segments of all shifts in the order of their starts:

    blocks ─► SongReader ─► segments with their neighbourhood ─► model ─► weights ─► RunningSum ─►

What the result is, is that of the public package's function of the same name, version 4. All but
the model itself is counted in arrays of numpy, so that a model that runs without torch needs none
(docs/decisions/0007).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing

import numpy as np

from unbraid.arrays import alike, as_array
from unbraid.engines.ready import as_model
from unbraid.engines.run import at_once, run_model, runs_elsewhere
from unbraid.errors import ModelError, ShapeError
from unbraid.models.base import SeparationModel, TensorModel
from unbraid.models.compose.bag import Bag
from unbraid.separation.augmented import run_augmented
from unbraid.separation.mirrored import cropped, fill_mirrored, mirrored
from unbraid.separation.overlap_add import FlatWeights, RunningSum, SegmentWeights
from unbraid.separation.plan import Pass, plan_passes
from unbraid.separation.progress import CancelToken, Progress, Watch, Work
from unbraid.separation.reader import SongReader
from unbraid.separation.rotated import placed, rotated
from unbraid.separation.segments import Segment, extend, in_batches
from unbraid.separation.settings import DEFAULT_SETTINGS, SeparationSettings
from unbraid.shapes import Estimates, Float, Mixture
from unbraid.side_by_side import ahead


def apply_model(
    model: SeparationModel | TensorModel,
    mixture: Mixture,
    settings: SeparationSettings = DEFAULT_SETTINGS,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    cancel: CancelToken | None = None,
) -> Estimates:
    """Separate songs of any length. `Separator` normalizes loudness, this function does not.

    Segments go to where the model lives, estimates come back to where the mixture is.

    Args:
        model: a model, or a `Bag` of them, already on its device.
        mixture: (batch, channels, samples), floating point, at the model's sample rate; a tensor or
            an array.
        settings: segments, overlap, shifts.
        on_progress: called with a `Progress` before the first forward pass and after each.
        cancel: looked at before each forward pass.
    Returns:
        float32 estimates, (batch, stems, channels, samples), as what the mixture is, on its device.
    Raises:
        ShapeError: if the mixture has no samples or not the model's channels.
        SettingsError: if the settings do not fit the model.
        ModelError: if the model does not keep its contract.
        Cancelled: if `cancel` was called.
    """
    bag = as_bag(model)
    batch, channels, samples = check_mixture(bag, mixture)
    passes = plan_passes(bag, samples, settings)
    work = Work(sum(plan.work for plan in passes), "separate", Watch(on_progress, cancel))
    estimates = np.zeros((batch, len(bag.spec.stems), channels, samples), np.float32)
    song = as_array(mixture)
    work.start()
    for plan in passes:
        for position, block in run_pass(bag.member(plan.member), plan, lambda: [song], work):
            estimates[..., position : position + block.shape[-1]] += block
    return alike(mixture, estimates)


def as_bag(model: SeparationModel | TensorModel) -> Bag:
    """The bag itself, or a bag of one, its members ready to run."""
    ready = as_model(model)
    return ready if isinstance(ready, Bag) else Bag([ready])


def check_mixture(model: SeparationModel, mixture: Mixture) -> tuple[int, int, int]:
    """Batch, channels and samples of a mixture that the model can take.

    Raises:
        ShapeError: if it cannot.
    """
    wanted = f"(batch, {model.spec.channels} channels, 1 sample or more)"
    if mixture.ndim != 3 or mixture.shape[1] != model.spec.channels or 0 in mixture.shape:
        hint = "; add the batch: mixture[None]" if mixture.ndim == 2 else ""
        raise ShapeError(f"the model takes a mixture of {wanted}, got {tuple(mixture.shape)}{hint}")
    if not np.issubdtype(as_array(mixture[:0]).dtype, np.floating):
        raise ShapeError(f"the model takes a floating-point mixture, got {mixture.dtype}")
    batch, channels, samples = mixture.shape
    return batch, channels, samples


def run_pass(
    model: SeparationModel,
    plan: Pass,
    blocks: Callable[[], Iterable[np.ndarray]],
    work: Work,
    on_free: Callable[[], None] | None = None,
) -> Iterator[tuple[int, Float[np.ndarray, "b s c _n"]]]:
    """One model over the whole song, all its shifts at once, holding a few segments at most.

    Args:
        blocks: gives the song from its start each time it is called.
        on_free: called when the model is not needed any more, which may be on another thread.
    Yields:
        positions, and blocks (b s c n), n >= 1, together as long as the song: the model's share.
        They are in order, from where the plan rotates the song to.
    """
    samples = plan.samples - 2 * plan.border
    song = mirrored(rotated(blocks, samples, plan.rotation), plan.border)
    reader = SongReader(song, model.spec.channels, plan.samples)
    separated = _separate(model, plan, reader, work, on_free)
    return placed(cropped(separated, plan.border, samples), samples, plan.rotation)


def _separate(
    model: SeparationModel,
    plan: Pass,
    reader: SongReader,
    work: Work,
    on_free: Callable[[], None] | None,
) -> Iterator[Float[np.ndarray, "b s c _n"]]:
    """The same with the borders of the plan."""
    weights = plan.weights()
    shares = np.asarray(plan.shares, np.float32)[:, None, None] / np.float32(len(plan.starts))
    running = RunningSum()
    passes = _passes(model, plan, reader, work, on_free)
    if runs_elsewhere(model):  # it runs the next batch while this one is added up
        passes = ahead(passes, depth=1)
    with closing(passes):
        for batch, finished, estimates in passes:
            for segment, part in zip(batch, np.split(estimates, len(batch)), strict=True):
                _add(running, segment, plan.seen(segment), part, shares, weights)
            model.take_back(estimates)  # the next pass reuses their memory
            del estimates
            work.advance(plan.variants * sum(segment.length for segment in batch))
            yield from running.take(finished)


def _passes(
    model: SeparationModel,
    plan: Pass,
    reader: SongReader,
    work: Work,
    on_free: Callable[[], None] | None,
) -> Generator[tuple[list[Segment], int, Float[np.ndarray, "n s c wide"]], None, None]:
    """Each batch of segments, the first sample that later ones still add to, and the estimates."""
    valid = _valid_lengths(model, plan)
    reach = max((wide - length) // 2 for length, wide in valid.items())
    flat = plan.settings.windows == "flat"

    def kind(segment: Segment) -> tuple[int, int]:
        """How long the model sees it; and, as `fill_mirrored` asks for that, how long it is."""
        return valid[plan.seen(segment).length], segment.length if flat else 0

    count = plan.settings.batch_size or at_once(model, max(valid.values()))
    for batch, next_start in in_batches(plan.segments(), count, kind):
        work.check()
        seen = plan.seen(batch[0]).length
        spans = [extend(plan.seen(segment), kind(segment)[0]) for segment in batch]
        # Always a copy: a model may write to its input.
        mixture = np.concatenate([reader.read(*span) for span in spans])
        if flat and seen // 2 < batch[0].length < seen:
            fill_mirrored(mixture, batch[0].length)
        finished = plan.samples if next_start is None else next_start
        reader.forget(finished - reach)
        if plan.settings.tta:
            estimates = run_augmented(model, mixture, work.check)
        else:
            estimates = run_model(model, mixture)
        if next_start is None and on_free is not None:
            on_free()
        yield batch, finished, estimates
        del estimates  # as in `run_pass`
    reader.finish()


def _valid_lengths(model: SeparationModel, plan: Pass) -> dict[int, int]:
    """For each length that the model is to see, the length that it wants to see."""
    valid = {}
    for length in sorted({plan.seen(segment).length for segment in plan.segments()}, reverse=True):
        if plan.settings.windows != "triangle":
            valid[length] = length  # it extends what it gets by itself
            continue
        valid[length] = model.valid_samples(length)
        if valid[length] < length:
            raise ModelError(
                f"a model's valid_samples({length}) is {length} or more, got {valid[length]}"
            )
    return valid


def _add(
    running: RunningSum,
    segment: Segment,
    seen: Segment,
    estimates: Float[np.ndarray, "b s c wide"],
    shares: Float[np.ndarray, "s 1 1"],
    weights: SegmentWeights | FlatWeights,
) -> None:
    """Trim the neighbourhood off, weight, and add what lies within the song."""
    left = (estimates.shape[-1] - seen.length) // 2
    before_song = max(0, -segment.start)
    kept = estimates[..., left + before_song : left + segment.length]
    weight = weights.of(segment.number, segment.length)[before_song:]
    with np.errstate(over="ignore", invalid="ignore"):  # whether it is finite, the caller asks
        running.add(segment.start + before_song, kept, shares, weight)
