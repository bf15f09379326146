"""One song from file to files: the passes in their order, and what came of them."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from unbraid.atomic import publish
from unbraid.audio.container import shown
from unbraid.audio.files import probe
from unbraid.audio.resample import resampled_length
from unbraid.audio.tags import read_tags
from unbraid.audio.write import AudioFormat
from unbraid.engines.ready import one_by_one
from unbraid.errors import AudioReadError, AudioWriteError
from unbraid.separation.progress import CancelToken, Progress
from unbraid.separation.streaming import EstimatesBlock
from unbraid.side_by_side import Downstream
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
    with TrackWork(job, plan, request, inputs, on_progress, cancel) as work:
        skipped = work.read()
        if skipped is not None:
            return skipped
        work.separate()
        return work.write()


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


class TrackWork:
    """One song on its way: `read`, `separate`, `write`, in this order, and `close` in any case.

    Each step may be taken on another thread than the one before. All of them raise what
    `separate_track` does, and its arguments are theirs.
    """

    def __init__(
        self,
        job: TrackJob,
        plan: OutputPlan,
        request: str,
        inputs: Collection[tuple[int, int]] = (),
        on_progress: OnProgress | None = None,
        cancel: CancelToken | None = None,
    ) -> None:
        self.plan = plan
        self._job = job
        self._request = request
        self._inputs = inputs
        self._cancel = cancel
        self._report = _StageReport(on_progress)
        self._seconds = 0.0
        self._workplace = ExitStack()

    def __enter__(self) -> TrackWork:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove what is not finished. Twice is fine."""
        self._workplace.close()

    def read(self) -> TrackResult | None:
        """Decode the song; the result "skipped" if there is nothing to do."""
        with self._timed():
            plan = self.plan
            if plan.track.problem is not None:
                raise AudioReadError(plan.track.problem)
            done = find_done(self._job, plan, self._request)
            if done is not None:
                return done
            self._info = probe(plan.track.path)
            self._source = _look(plan.track.path, load_record(plan))
            self._check_free()
            self._choose()
            self._folder = self._workplace.enter_context(open_workplace(plan.root))
            self._report.stage("read")
            with self._naming_the_disk():
                self._intake = take_in(
                    plan.track.path,
                    self._info,
                    self._channel_map,
                    self._job.model.model.spec.sample_rate,
                    self._folder,
                    cancel=self._cancel,
                )
                self._check_space(self._intake.spool.samples)
        return None

    def separate(self, on_free: Callable[[], None] | None = None) -> None:
        """Put it through the model, of which `on_free` says that it may go to the next song."""
        with self._timed(), self._naming_the_disk():
            self._stems = self._separate(self._intake, on_free)

    def write(self) -> TrackResult:
        """Encode its parts and give them their names."""
        with self._timed():
            with self._naming_the_disk():
                encoded = self._encode()
            self._check_free()
            _publish(self.plan, encoded, self._request, self._source)
        self.close()
        return self._result(encoded)

    def _encode(self) -> Encoded:
        self._report.stage("write")
        encoder = TrackEncoder(
            info=self._info,
            source=self._intake.spool,
            stems=self._stems,
            parts=self._job.parts,
            output=self._job.output,
            chosen=self._format,
            sample_rate=self._sample_rate,
            seed=self._job.settings.seed,
        )
        encoded = encoder.run(self._folder, read_tags(self.plan.track.path), self._cancel)
        self._report.stage("write", 1.0)
        return encoded

    def _result(self, encoded: Encoded) -> TrackResult:
        plan, info = self.plan, self._info
        return TrackResult(
            input=str(plan.track.path),
            status="done",
            outputs={part: plan.path(part) for part in plan.files},
            seconds_audio=self._intake.spool.samples / info.sample_rate,
            seconds_wall=self._seconds,
            peak_rss_mb=peak_rss_mb(),
            null_test_db=encoded.null_test_db,
            gain_db=20.0 * math.log10(encoded.gain),
            sample_rate=self._sample_rate,
            channels=info.channels,
            notes=tuple(self._notes(encoded)),
        )

    @contextmanager
    def _timed(self) -> Iterator[None]:
        begun = time.monotonic()
        try:
            yield
        finally:
            self._seconds += time.monotonic() - begun

    @contextmanager
    def _naming_the_disk(self) -> Iterator[None]:
        """What the disk refuses, now or on the way, as an error that says where."""
        try:
            yield
        except (AudioWriteError, OSError) as error:
            cause = error if isinstance(error, OSError) else error.__cause__
            if not isinstance(cause, OSError):
                raise
            raise AudioWriteError(
                f"{shown(self.plan.track.path)}: its stems cannot be written below "
                f"{shown(self.plan.root)}: {(cause.strerror or str(cause)).lower()}"
            ) from error

    def _check_free(self) -> None:
        check_free(
            self.plan,
            load_record(self.plan),
            self._source,
            overwrite=self._job.output.overwrite,
            inputs=self._inputs,
        )

    def _choose(self) -> None:
        info, spec = self._info, self._job.model.model.spec
        self._format: AudioFormat = choose_format(self._job.output, info)
        self._sample_rate = choose_rate(
            self._job.output, info.sample_rate, spec.sample_rate, self._format
        )
        self._channel_map: ChannelMap = map_channels(info.channel_names, spec.channels)

    def _separate(self, intake: Intake, on_free: Callable[[], None] | None) -> Spool:
        stems = self._job.model.model.spec.stems
        model = self._job.model.model.narrow([stems[index] for index in self._job.parts.indices])
        route = Route(
            model=one_by_one(model) if len(self._channel_map.groups) > 1 else model,
            settings=self._job.settings,
            channel_map=self._channel_map,
            source_rate=self._info.sample_rate,
            output_rate=self._sample_rate,
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
            on_free=on_free,
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
        written = resampled_length(samples, self._info.sample_rate, self._sample_rate)
        need = disk_bytes(
            written, self._info.channels, self._job.parts, self._format, self._sample_rate
        )
        free = shutil.disk_usage(self.plan.root).free
        if need > free:
            raise AudioWriteError(
                f"{shown(self.plan.track.path)} takes {shown_bytes(need)} of disk below "
                f"{shown(self.plan.root)}, {shown_bytes(free)} are free; choose another --out"
            )

    def _notes(self, encoded: Encoded) -> list[str]:
        job, info, rate = self._job, self._info, self._sample_rate
        notes = []
        if encoded.saturated:
            notes.append(
                f"{encoded.saturated} samples were beyond full scale and were cut off "
                f"(clip mode {job.output.clip_mode})"
            )
        if encoded.moved:
            closing = job.parts.closing
            notes.append(f"{encoded.moved} samples of {closing} did not fit and went to a stem")
        if job.output.sample_rate == "source" and rate != info.sample_rate:
            notes.append(
                f"{self._format.name} does not take {info.sample_rate} Hz; written at {rate} Hz"
            )
        if job.output.residual and job.output.two_stems:
            notes.append(f"{job.parts.closing} already holds what is left; no residual is written")
        return notes


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
