"""One song from file to files: the passes in their order, and what came of them."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from unbraid.atomic import publish
from unbraid.audio.container import shown
from unbraid.audio.files import AudioInfo, probe
from unbraid.audio.resample import resampled_length
from unbraid.audio.tags import read_tags
from unbraid.audio.write import AudioFormat
from unbraid.errors import AudioReadError, AudioWriteError
from unbraid.runtimes.adapt import adapt
from unbraid.separation.progress import CancelToken, Progress
from unbraid.separation.streaming import EstimatesBlock
from unbraid.tracks.encode import Encoded, TrackEncoder
from unbraid.tracks.estimate import disk_bytes, shown_bytes
from unbraid.tracks.flow import ChannelMap, Route, map_channels
from unbraid.tracks.intake import Intake, take_in
from unbraid.tracks.job import TrackJob
from unbraid.tracks.names import OutputPlan
from unbraid.tracks.records import (
    Record,
    SourceContent,
    check_free,
    is_done,
    load_record,
    look_at_source,
    save_record,
)
from unbraid.tracks.result import TrackResult, peak_rss_mb
from unbraid.tracks.settings import choose_format, choose_rate
from unbraid.tracks.side_by_side import Downstream
from unbraid.tracks.workplace import Spool, open_workplace

_STAGES = {"read": (0.0, 0.04), "separate": (0.04, 0.94), "write": (0.94, 1.0)}

OnProgress = Callable[[Progress], None]


def separate_track(
    job: TrackJob,
    plan: OutputPlan,
    request: str,
    *,
    inputs: Collection[tuple[int, int]] = (),
    on_progress: OnProgress | None = None,
    cancel: CancelToken | None = None,
) -> TrackResult:
    """Separate one song and write its parts, all of them or none.

    Args:
        job: model and settings.
        plan: where the parts go.
        request: `job.request()`, which is costly enough to be taken once for many songs.
        inputs: (device, inode) of all songs of the request, which are never replaced.
    Raises:
        UnbraidError: if it cannot be done; nothing has changed then.
        OSError: if the disk is full, or a folder cannot be made or read.
    """
    begun = time.monotonic()
    track = plan.track
    if track.problem is not None:
        raise AudioReadError(track.problem)
    done = find_done(job, plan, request)
    if done is not None:
        return done
    info = probe(track.path)
    source = _look(track.path, load_record(plan))
    overwrite = job.output.overwrite
    check_free(plan, load_record(plan), source, overwrite=overwrite, inputs=inputs)
    with open_workplace(plan.root) as folder:
        work = _TrackWork(job, plan, info, folder, on_progress, cancel)
        encoded, samples = work.run()
        check_free(plan, load_record(plan), source, overwrite=overwrite, inputs=inputs)
        _publish(plan, encoded, request, source)
    return TrackResult(
        input=str(track.path),
        status="done",
        outputs={part: plan.path(part) for part in plan.files},
        seconds_audio=samples / info.sample_rate,
        seconds_wall=time.monotonic() - begun,
        peak_rss_mb=peak_rss_mb(),
        null_test_db=encoded.null_test_db,
        gain_db=20.0 * math.log10(encoded.gain),
        sample_rate=work.sample_rate,
        channels=info.channels,
        notes=tuple(_notes(job, info, work, encoded)),
    )


def find_done(job: TrackJob, plan: OutputPlan, request: str) -> TrackResult | None:
    """The result "skipped", if that is wanted and all parts are there, of this content and request.

    Raises:
        AudioReadError: if the song cannot be read.
    """
    if not job.output.skip_existing:
        return None
    begun = time.monotonic()
    record = load_record(plan)
    if not is_done(plan, record, request, _look(plan.track.path, record)):
        return None
    return TrackResult(
        input=str(plan.track.path),
        status="skipped",
        outputs={part: plan.path(part) for part in plan.files},
        seconds_wall=time.monotonic() - begun,
        peak_rss_mb=peak_rss_mb(),
    )


class _TrackWork:
    """The three passes over one song, in a folder of their own."""

    def __init__(
        self,
        job: TrackJob,
        plan: OutputPlan,
        info: AudioInfo,
        folder: Path,
        on_progress: OnProgress | None,
        cancel: CancelToken | None,
    ) -> None:
        self._job = job
        self._path = plan.track.path
        self._root = plan.root
        self._info = info
        self._folder = folder
        self._cancel = cancel
        self._report = _StageReport(on_progress)
        spec = job.model.model.spec
        self.format: AudioFormat = choose_format(job.output, info)
        self.sample_rate = choose_rate(job.output, info.sample_rate, spec.sample_rate, self.format)
        self._channel_map: ChannelMap = map_channels(info.channel_names, spec.channels)

    def run(self) -> tuple[Encoded, int]:
        """All passes; the encoded files, and the samples of the source.

        Raises:
            AudioWriteError: if there is no room for what they need, now or on the way.
        """
        try:
            return self._run()
        except (AudioWriteError, OSError) as error:
            cause = error if isinstance(error, OSError) else error.__cause__
            if not isinstance(cause, OSError):
                raise
            raise AudioWriteError(
                f"{shown(self._path)}: its stems cannot be written below {shown(self._root)}: "
                f"{(cause.strerror or str(cause)).lower()}"
            ) from error

    def _run(self) -> tuple[Encoded, int]:
        self._report.stage("read")
        rate = self._job.model.model.spec.sample_rate
        intake = take_in(
            self._path, self._info, self._channel_map, rate, self._folder, cancel=self._cancel
        )
        samples = intake.spool.samples
        self._check_space(samples)
        stems = self._separate(intake)
        self._report.stage("write")
        encoder = TrackEncoder(
            info=self._info,
            source=intake.spool,
            stems=stems,
            parts=self._job.parts,
            output=self._job.output,
            chosen=self.format,
            sample_rate=self.sample_rate,
            seed=self._job.settings.seed,
        )
        encoded = encoder.run(self._folder, read_tags(self._path), self._cancel)
        self._report.stage("write", 1.0)
        return encoded, samples

    def _separate(self, intake: Intake) -> Spool:
        ready = self._job.model
        route = Route(
            model=adapt(
                ready.model,
                ready.device,
                ready.precision,
                one_by_one=len(self._channel_map.groups) > 1,
            ),
            settings=self._job.settings,
            channel_map=self._channel_map,
            source_rate=self._info.sample_rate,
            output_rate=self.sample_rate,
            stems=self._job.parts.indices,
        )
        rows, samples = len(route.stems) * self._info.channels, intake.spool.samples

        def put_down(estimates: Iterator[EstimatesBlock]) -> None:
            for block in route.outgoing(estimates, samples):
                spool.append(block.reshape(rows, -1))

        estimates = route.estimates(
            intake.spool.blocks,
            intake.loudness,
            samples,
            scratch_dir=self._folder,
            on_progress=self._report,
            cancel=self._cancel,
        )
        # What is done goes to disk while the model is at the next segment.
        with (
            Spool(self._folder / "stems.f32", rows) as spool,
            Downstream(put_down, _waiting_blocks(self._channel_map)) as stream,
        ):
            for block in estimates:
                stream.push(block)
        return spool

    def _check_space(self, samples: int) -> None:
        """Refuse now what would fill the disk after an hour."""
        written = resampled_length(samples, self._info.sample_rate, self.sample_rate)
        need = disk_bytes(
            written, self._info.channels, self._job.parts, self.format, self.sample_rate
        )
        free = shutil.disk_usage(self._root).free
        if need > free:
            raise AudioWriteError(
                f"{shown(self._path)} takes {shown_bytes(need)} of disk below "
                f"{shown(self._root)}, {shown_bytes(free)} are free; choose another --out"
            )


def _waiting_blocks(channel_map: ChannelMap) -> int:
    """How many blocks may wait to be put down: all of a segment, unless there are many channels."""
    return max(2, 64 // len(channel_map.groups))


class _StageReport:
    """Turns the progress of the stages into that of the whole song."""

    def __init__(self, on_progress: OnProgress | None) -> None:
        self._on_progress = on_progress

    def stage(self, name: str, fraction: float = 0.0) -> None:
        self(Progress(name, fraction, None))

    def __call__(self, progress: Progress) -> None:
        if self._on_progress is not None:
            first, last = _STAGES[progress.stage]
            fraction = first + (last - first) * progress.fraction
            self._on_progress(Progress(progress.stage, fraction, progress.seconds_left))


def _look(path: Path, record: Record) -> SourceContent:
    try:
        if not path.is_file():
            probe(path)  # says what it is instead
        return look_at_source(path, record)
    except OSError as error:
        raise AudioReadError(f"{shown(path)} cannot be read: {error.strerror or error}") from error


def _publish(plan: OutputPlan, encoded: Encoded, request: str, source: SourceContent) -> None:
    """Give all files their names; the record first, so that they are ours whatever happens."""
    for part in encoded.files:
        plan.path(part).parent.mkdir(parents=True, exist_ok=True)
    save_record(plan, encoded.files, request, source)
    for part, path in encoded.files.items():
        publish(path, plan.path(part))


def _notes(job: TrackJob, info: AudioInfo, work: _TrackWork, encoded: Encoded) -> list[str]:
    notes = []
    if encoded.saturated:
        notes.append(
            f"{encoded.saturated} samples were beyond full scale and were cut off "
            f"(clip mode {job.output.clip_mode})"
        )
    if encoded.moved:
        closing = job.parts.closing
        notes.append(f"{encoded.moved} samples of {closing} did not fit and went to a stem")
    if job.output.sample_rate == "source" and work.sample_rate != info.sample_rate:
        notes.append(
            f"{work.format.name} does not take {info.sample_rate} Hz; "
            f"written at {work.sample_rate} Hz"
        )
    if job.output.residual and job.output.two_stems:
        notes.append(f"{job.parts.closing} already holds what is left; no residual is written")
    return notes
