"""The first step: a file is decoded once, into a spool, and checked."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unbraid.audio.container import shown
from unbraid.audio.files import AudioInfo, OpenFile, probe
from unbraid.audio.resample import resampled_length
from unbraid.closing import Closing
from unbraid.costs.sizes import disk_bytes, shown_bytes
from unbraid.errors import AudioReadError, DiskFull
from unbraid.scratch import Scratch
from unbraid.separation.progress import CancelToken, Progress
from unbraid.separation.streaming import Loudness
from unbraid.side_by_side import ahead
from unbraid.tracks.failures import naming_the_disk
from unbraid.tracks.job import UNWATCHED_TRACK, Delivery, TrackJob, TrackWatch
from unbraid.tracks.names import OutputPlan
from unbraid.tracks.records import Record, SourceContent, is_done, load_record, look_at_source
from unbraid.tracks.result import TrackResult, peak_rss_mb
from unbraid.tracks.route import meter_blocks
from unbraid.tracks.spool import Spool


@dataclass(frozen=True, eq=False)
class Decoded(Closing):
    """A song whose sound is ready for the model. `close()` removes what is not finished of it.

    Attributes:
        job: what is done with it.
        plan: where its stems go.
        watch: who follows it.
        info: of the file.
        content: of the file, as records know it.
        delivery: how its stems are written.
        scratch: the folder for what is not finished.
        sound: its samples (c t) at its own rate.
        loudness: as the model hears it.
        seconds: time it has taken so far.
    """

    job: TrackJob
    plan: OutputPlan
    watch: TrackWatch
    info: AudioInfo
    content: SourceContent
    delivery: Delivery
    scratch: Scratch
    sound: Spool
    loudness: Loudness
    seconds: float

    def close(self) -> None:
        """Remove what is not finished. Calling it twice is fine."""
        self.scratch.close()


def decode(
    job: TrackJob, plan: OutputPlan, watch: TrackWatch = UNWATCHED_TRACK
) -> Decoded | TrackResult:
    """Decode a song, in constant memory; the result "skipped" if there is nothing to do.

    Raises:
        UnbraidError: if it cannot be read, or its stems not be written.
        OSError: if a folder cannot be made or read.
    """
    begun = time.monotonic()
    done = find_done(job, plan)
    if done is not None:
        return done
    with OpenFile(plan.track.file, stream=plan.track.stream) as file:
        info = file.info
        content = _look(plan.track.file, load_record(plan))
        job.check_free(plan, content)
        delivery = job.delivery(info)
        scratch = Scratch(plan.root)
        try:
            watch.tell(Progress("read", 0.0, None))
            with naming_the_disk(plan):
                sound, loudness = _take_in(job, file, delivery, scratch, watch.cancel)
                _check_space(job, plan, info, delivery, sound.samples)
        except BaseException:
            scratch.close()
            raise
    seconds = time.monotonic() - begun
    return Decoded(
        job, plan, watch, info, content, delivery, scratch, sound, loudness, seconds=seconds
    )


def find_done(job: TrackJob, plan: OutputPlan) -> TrackResult | None:
    """The result "skipped", if that is wanted and all parts are there, of this content and request.

    Raises:
        AudioReadError: if the song cannot be read.
    """
    if plan.track.problem is not None:
        raise AudioReadError(plan.track.problem)
    if not job.output.skip_existing:
        return None
    begun = time.monotonic()
    record = load_record(plan)
    plan = plan.named(record.heard)
    request = plan.track.request(job.request)
    if not is_done(plan, record, request, _look(plan.track.file, record)):
        return None
    return TrackResult(
        input=str(plan.track.path),
        status="skipped",
        outputs={part: plan.path(part) for part in plan.files},
        seconds_wall=time.monotonic() - begun,
        peak_rss_mb=peak_rss_mb(),
    )


def _look(path: Path, record: Record) -> SourceContent:
    try:
        if not path.is_file():
            probe(path)  # says what it is instead
        return look_at_source(path, record)
    except OSError as error:
        raise AudioReadError(f"{shown(path)} cannot be read: {error.strerror or error}") from error


def _take_in(
    job: TrackJob,
    file: OpenFile,
    delivery: Delivery,
    scratch: Scratch,
    cancel: CancelToken | None,
) -> tuple[Spool, Loudness]:
    """Decode into a spool, and measure the loudness."""
    info, model_rate = file.info, job.model.model.spec.sample_rate
    with Spool(scratch.folder / "source.f32", info.channels) as sound:
        blocks = _checked(file, sound, cancel)
        loudness = meter_blocks(blocks, delivery.channel_map, info.sample_rate, model_rate)
    return sound, loudness


def _checked(file: OpenFile, sound: Spool, cancel: CancelToken | None) -> Iterator[np.ndarray]:
    """Blocks of the file; each is written to the spool if a model can take it."""
    path = file.info.path
    with closing(ahead(file.blocks())) as blocks:
        for block in blocks:
            if cancel is not None:
                cancel.check()
            _check(path, file.info, block, sound.samples)
            sound.append(block)
            yield block
    if sound.samples == 0:
        raise AudioReadError(f"{shown(path)} holds no sound: 0 samples")


def _check(path: Path, info: AudioInfo, block: np.ndarray, before: int) -> None:
    """Refuse a block, given the samples before it, that no model can take."""
    if block.shape[0] != info.channels:
        raise AudioReadError(
            f"{shown(path)} changes midway from {info.channels} to {block.shape[0]} channels"
        )
    finite = np.isfinite(block)
    if not finite.all():
        broken = _first_broken(block, finite, before, info.sample_rate)
        raise AudioReadError(f"{shown(path)} {broken}; repair or export it again")


def _first_broken(block: np.ndarray, finite: np.ndarray, before: int, sample_rate: int) -> str:
    at = int(np.argmin(finite.all(axis=0)))
    channel = int(np.argmin(finite[:, at]))
    kind = "NaN" if np.isnan(block[channel, at]) else "Inf"
    position = before + at
    seconds = position / sample_rate
    return f"holds {kind} at {seconds:.3f} s (sample {position}, channel {channel + 1})"


def _check_space(
    job: TrackJob, plan: OutputPlan, info: AudioInfo, delivery: Delivery, samples: int
) -> None:
    """Refuse now what would fill the disk after an hour."""
    rate = delivery.sample_rate
    written = resampled_length(samples, info.sample_rate, rate)
    stems, files = len(job.parts.stems), len(job.parts.written)
    if job.output.format == "stem":  # with the mixture, and each first in a file of its own
        files = 2 * (files + 1)
    need = disk_bytes(written, info.channels, stems, files, delivery.format, rate)
    free = shutil.disk_usage(plan.root).free
    if need > free:
        raise DiskFull(
            f"{shown(plan.track.path)} takes {shown_bytes(need)} of disk below "
            f"{shown(plan.root)}, {shown_bytes(free)} are free; choose another --out"
        )
