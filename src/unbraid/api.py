"""Songs in, stems out: the face that the command line, batches and the web stand on.

Separator.separate         a signal in memory -> {stem: signal}
Separator.separate_stream  a signal in blocks -> blocks of stems
Separator.separate_file    a file -> files
Separator.separate_many    many files -> files, decoding and writing in parallel with the model
Separator.costs            a file -> what it would take
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import cached_property, partial
from operator import attrgetter
from pathlib import Path
from typing import Any, SupportsFloat

from unbraid.costs.model_cost import ModelCost, measure_cost, segment_seconds
from unbraid.engines.shared_passes import AT_ONCE, SharedPasses
from unbraid.errors import SettingsError, UnbraidError
from unbraid.models.base import SeparationModel, TensorModel
from unbraid.models.default import DEFAULT_MODEL
from unbraid.separation.progress import CancelToken, Progress, Watch
from unbraid.separation.settings import SeparationSettings
from unbraid.tracks import in_memory, inputs
from unbraid.tracks.decode import decode
from unbraid.tracks.dry_run import estimate_track
from unbraid.tracks.failures import naming
from unbraid.tracks.in_memory import Signal
from unbraid.tracks.job import TrackJob, TrackWatch
from unbraid.tracks.line import run_line
from unbraid.tracks.names import InputTrack, OutputPlan, plan_outputs
from unbraid.tracks.notebook import table
from unbraid.tracks.parts import choose_parts
from unbraid.tracks.pipes import copied_pipes
from unbraid.tracks.progress_bar import show_progress
from unbraid.tracks.result import TrackResult, failed
from unbraid.tracks.run_settings import RunSettings
from unbraid.tracks.separate import separate as separate_decoded
from unbraid.tracks.settings import OutputSettings
from unbraid.tracks.spool import SpoolView
from unbraid.tracks.twins import owners_first
from unbraid.tracks.write import write

__all__ = ["OutputSettings", "Separator", "TrackResult", "find_inputs", "separate"]

_DEFAULT_OUTPUT = OutputSettings()

Identities = Sequence[tuple[int, int]]
"""(device, inode) of files that are never replaced."""

Song = str | os.PathLike[str] | InputTrack | OutputPlan


class Separator:
    """A model and how it separates; takes signals and files.

    Args:
        model: name or path of a model, or a model itself.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        overlap, shifts, seed, segment_s, windows, bigshifts, tta: see `SeparationSettings`.
        on_progress: called with `Progress`; its fraction is that of the whole song.
        precision, threads, max_memory, batch_size, model_config: see `RunSettings`.
        progress: draw progress on stderr.
    Attributes:
        model: the model, ready to run: `name`, `licence`, `device`, `engine`.
        spec: stems, sample rate and channels of the model.
        settings: how it separates, with segments as shortened by `max_memory`.
        run_settings: where it runs, as requested.
        on_progress: as given; may be set.
    Raises:
        SettingsError: for settings that cannot be, or that this machine cannot meet.
        ModelError: if no model has that name, or its file is refused.
    """

    def __init__(
        self,
        model: SeparationModel | TensorModel | str | Path = DEFAULT_MODEL,
        device: str = "auto",
        overlap: float = 0.25,
        shifts: int = 0,
        seed: int = 0,
        on_progress: Callable[[Progress], None] | None = None,
        *,
        segment_s: float | None = None,
        windows: str = "triangle",
        bigshifts: int = 0,
        tta: bool = False,
        precision: str = "auto",
        threads: int | str | None = None,
        max_memory: int | str | None = None,
        batch_size: int | None = None,
        model_config: str | Path | None = None,
        progress: bool = False,
    ) -> None:
        self._arguments = {name: value for name, value in locals().items() if name != "self"}
        settings = SeparationSettings(
            *(segment_s, overlap, shifts, seed),
            batch_size=batch_size,
            windows=windows,
            bigshifts=bigshifts,
            tta=tta,
        )
        self.run_settings = RunSettings(
            device, precision, threads, max_memory, batch_size, model_config
        )
        self.model, self.settings = self.run_settings.prepare(model, settings)
        self.spec = self.model.model.spec
        self.on_progress = show_progress if progress and on_progress is None else on_progress

    def separate(
        self, signal: Signal, sample_rate: SupportsFloat, *, cancel: CancelToken | None = None
    ) -> dict[str, Signal]:
        """Separate a signal in memory.

        Args:
            signal: (channels, samples), floating point, full scale at ±1; a tensor or an array. It
                is not changed.
            sample_rate: of the signal, a whole number of Hz.
        Returns:
            for each stem a signal of the same kind, shape, type and device.
        Raises:
            ShapeError: if it is not such a signal.
            AudioError: if it holds numbers that are not finite.
            SettingsError: if the sample rate is not a whole number of Hz.
        """
        watch = Watch(self.on_progress, cancel)
        return in_memory.separate_signal(self.model, self.settings, signal, sample_rate, watch)

    def separate_stream(
        self,
        blocks: Iterable[Signal],
        sample_rate: SupportsFloat,
        *,
        cancel: CancelToken | None = None,
    ) -> Iterator[dict[str, Signal]]:
        """Separate a signal that comes in blocks, in constant memory.

        All blocks are taken before the first stems come, since the loudness of the whole signal
        has to be known. Until then they lie in a temporary file.

        Args:
            blocks: (channels, samples) each, of any lengths; see `separate`.
            sample_rate: of the blocks, a whole number of Hz.
        Yields:
            for each stem the next block, of the kind, type and device of the first one. Together
            they are as long as the signal, and what `separate` gives.
        Raises:
            ShapeError, AudioError, SettingsError: as `separate`.
        """
        watch = Watch(self.on_progress, cancel)
        return in_memory.separate_stream(self.model, self.settings, blocks, sample_rate, watch)

    def separate_file(
        self,
        path: str | os.PathLike[str],
        out: str | os.PathLike[str] = "separated",
        output: OutputSettings = _DEFAULT_OUTPUT,
        *,
        stream: int | None = None,
        cancel: CancelToken | None = None,
        on_stems: Callable[[SpoolView], None] | None = None,
    ) -> TrackResult:
        """Separate a file into files below `out`, all of them or none, in constant memory.

        Args:
            path: the file; a named pipe is copied to a temporary file first.
            stream: which of several audio streams, counted from 1; None takes the one that players
                take by default.
            on_stems: called once, before the first stems are ready, with a view through which any
                process can listen to those that are ready.
        Raises:
            UnbraidError: if it cannot be read, separated or written.
        """
        with copied_pipes([InputTrack(Path(path), stream=stream)]) as tracks:
            (plan,) = self.plan(tracks, out, output)
            return self.separate_planned(plan, output, cancel=cancel, on_stems=on_stems)

    def separate_planned(
        self,
        plan: OutputPlan,
        output: OutputSettings = _DEFAULT_OUTPUT,
        *,
        inputs: Identities = (),
        cancel: CancelToken | None = None,
        on_stems: Callable[[SpoolView], None] | None = None,
    ) -> TrackResult:
        """As `separate_file` for one song of a `plan`; `inputs` are files never to replace.

        Raises:
            UnbraidError: if it cannot be read, separated or written.
        """
        watch = TrackWatch(self.on_progress, cancel, on_stems=on_stems)
        with naming(plan):
            decoded = decode(self._job([plan], output, inputs), plan, watch)
            if isinstance(decoded, TrackResult):
                return decoded
            with decoded:
                return write(separate_decoded(decoded))

    def separate_many(
        self,
        songs: Iterable[Song],
        out: str | os.PathLike[str] = "separated",
        output: OutputSettings = _DEFAULT_OUTPUT,
        *,
        inputs: Identities = (),
        on_turn: Callable[[OutputPlan], None] | None = None,
        cancel: CancelToken | None = None,
    ) -> Generator[TrackResult, None, None]:
        """Separate many files; what goes wrong with one of them becomes its result.

        While the model separates one, the next is decoded and the last is written. Files and the
        order of results are as if they came one by one. With UNBRAID_DEBUG in the environment an
        unexpected error keeps its traceback in `error`.

        Close it (`contextlib.closing`) where it may not be taken to its end.

        Args:
            songs: paths of files, see `find_inputs` for folders; or plans, see `plan`, whose own
                places count instead of `out`.
            inputs: files never to replace; the songs if none are given.
            on_turn: called with each song before it is separated; `on_progress` is then about it.
        Raises:
            Cancelled: while iterating, if `cancel` was.
        """
        plans = self._plans(songs, out, output)
        given = partial(self._job, plans, output, inputs)
        return self._line(plans, given, on_turn, cancel)

    def separate_line(
        self,
        plans: Iterable[OutputPlan],
        output: OutputSettings = _DEFAULT_OUTPUT,
        *,
        inputs: Identities = (),
        cancel: CancelToken | None = None,
    ) -> Generator[TrackResult, None, None]:
        """As `separate_many`, for songs that are chosen one by one.

        Each is taken from `plans`, on another thread, when there is room to decode it.
        """
        return self._line(plans, partial(self._job, (), output, inputs), None, cancel)

    def _line(
        self,
        plans: Iterable[OutputPlan],
        given: Callable[[], TrackJob],
        on_turn: Callable[[OutputPlan], None] | None,
        cancel: CancelToken | None,
    ) -> Generator[TrackResult, None, None]:
        def tell(progress: Progress) -> None:
            if self.on_progress is not None:
                self.on_progress(progress)

        elsewhere, several = self.model.device != "cpu", isinstance(self.model.model, SharedPasses)
        return run_line(
            plans,
            given,
            tell,
            on_turn,
            cancel,
            elsewhere=elsewhere,
            at_once=AT_ONCE if several else 1,
        )

    def costs(
        self,
        song: Song,
        out: str | os.PathLike[str] = "separated",
        output: OutputSettings = _DEFAULT_OUTPUT,
    ) -> TrackResult:
        """What a song would cost, without separating it: status "planned", or "failed".

        Time is measured on noise, that of the model once; memory and disk are counted.
        """
        (plan,) = self._plans([song], out, output)
        try:
            return estimate_track(self._job([plan], output), plan, lambda: self._cost)
        except UnbraidError as error:
            return failed(plan, str(error))

    def plan(
        self,
        tracks: Iterable[InputTrack],
        out: str | os.PathLike[str] = "separated",
        output: OutputSettings = _DEFAULT_OUTPUT,
    ) -> list[OutputPlan]:
        """Where the stems of many songs go, each apart from the others.

        Of songs with the same name, those that have stems below `out` keep their names.

        Raises:
            SettingsError: if `output` does not fit the model, or its template the songs.
        """
        given = list(tracks)
        name_files = partial(
            plan_outputs,
            root=Path(out),
            template=output.filename,
            parts=choose_parts(output, self.spec.stems).names,
            ext=output.extension,
            model=self.model.name,
            project=output.project,
        )
        plans = name_files(given)
        order = owners_first(given, plans)
        if order == sorted(order):
            return plans
        named = dict(zip(order, name_files([given[n] for n in order]), strict=True))
        return [named[n] for n in range(len(given))]

    def request(self, output: OutputSettings = _DEFAULT_OUTPUT) -> str:
        """Digest of all that decides over a song's stems: weights, settings, output."""
        return self._job([], output).request

    # Names of version 0.1, which stay.
    model_name = property(attrgetter("model.name"), doc="Name of the model.")
    model_licence = property(attrgetter("model.licence"), doc="Licence of its weights.")
    device = property(attrgetter("model.device"), doc="Where it runs, such as `cpu`.")
    engine = property(attrgetter("model.engine"), doc="What runs it: `native`, `torch` or `onnx`.")
    segment_s = property(
        lambda self: segment_seconds(self.model.model, self.settings),
        doc="Seconds of audio in one pass of the model.",
    )

    def attempt(self, plan: OutputPlan, *how: Any, **named: Any) -> TrackResult:
        """As `attempt_all` for one song."""
        return next(self.attempt_all([plan], *how, **named))

    def attempt_all(
        self, plans: Iterable[OutputPlan], output: OutputSettings = _DEFAULT_OUTPUT, **named: Any
    ) -> Generator[TrackResult, None, None]:
        """As `separate_many`."""
        return self.separate_many(plans, output=output, **named)

    def estimate(self, plan: OutputPlan, output: OutputSettings = _DEFAULT_OUTPUT) -> TrackResult:
        """As `costs`."""
        return self.costs(plan, output=output)

    def __repr__(self) -> str:
        settings = self.settings
        return (
            f"<Separator {self.model.name!r}: {', '.join(self.spec.stems)} at "
            f"{self.spec.sample_rate} Hz; {self.model.device}, {self.model.engine}; segments of "
            f"{self.segment_s:g} s, overlap {settings.overlap:g}, shifts {settings.shifts}>"
        )

    def _repr_html_(self) -> str:
        """For notebooks: the same as a table."""
        settings = self.settings
        rows = {
            "stems": ", ".join(self.spec.stems),
            "sample rate": f"{self.spec.sample_rate} Hz",
            "runs on": f"{self.model.device}, {self.model.engine}",
            "segments": f"{self.segment_s:g} s",
            "overlap": f"{settings.overlap:g}",
            "shifts": settings.shifts,
        }
        return table(rows, f"Separator {self.model.name!r}")

    def __getstate__(self) -> dict[str, Any]:
        if not isinstance(self._arguments["model"], (str, Path)):
            raise SettingsError(
                "a Separator of a model in memory cannot be pickled; make it from the name or the "
                "path of a model, which is then loaded again where it is unpickled"
            )
        return {**self._arguments, "on_progress": self.on_progress}

    def __setstate__(self, arguments: dict[str, Any]) -> None:
        Separator.__init__(self, **arguments)

    def _plans(
        self, songs: Iterable[Song], out: str | os.PathLike[str], output: OutputSettings
    ) -> list[OutputPlan]:
        if isinstance(songs, str):  # which would be the songs of its letters
            raise SettingsError(f"songs are a list of paths, got {songs!r}; use separate_file")
        given = list(songs)
        plans = [song for song in given if isinstance(song, OutputPlan)]
        if given and len(plans) == len(given):
            return plans
        tracks = [
            song if isinstance(song, InputTrack) else InputTrack(Path(song))
            for song in given
            if not isinstance(song, OutputPlan)
        ]
        if plans:
            raise SettingsError("songs are all paths or all plans, got some of both")
        return self.plan(tracks, out, output)

    def _job(
        self, plans: Sequence[OutputPlan], output: OutputSettings, given: Identities = ()
    ) -> TrackJob:
        found = given or inputs.identities(plan.track for plan in plans)
        return TrackJob(self.model, self.settings, output, self._fingerprint, frozenset(found))

    @cached_property
    def _cost(self) -> ModelCost:
        return measure_cost(self.model, segment_s=self.settings.segment_s)

    @cached_property
    def _fingerprint(self) -> str:
        return self.model.fingerprint()


def find_inputs(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str] = "separated",
) -> list[InputTrack]:
    """All songs in files, folders (with what is below them) and patterns, each once, by path.

    Args:
        paths: one or several. What is not there becomes a song with a `problem`, which fails alone.
        out: output root of `separate_many`; stems in it are not songs.
    """
    several = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    return inputs.find_inputs([os.fspath(path) for path in several], Path(out))


def separate(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] = "separated",
    *,
    model: SeparationModel | TensorModel | str | Path = DEFAULT_MODEL,
    output: OutputSettings = _DEFAULT_OUTPUT,
    device: str = "auto",
    stream: int | None = None,
) -> TrackResult:
    """Separate one file into files below `out`, with default settings otherwise.

    Args:
        stream: which of several audio streams, counted from 1.
    Raises:
        UnbraidError: if it cannot be read, separated or written.
    """
    return Separator(model, device).separate_file(path, out, output, stream=stream)
