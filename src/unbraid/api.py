"""Songs in, stems out: the face that the command line, batches and the web stand on.

Separator.separate        a signal in memory -> {stem: signal}
Separator.separate_file   a file -> files
Separator.plan            many files -> where their stems go
Separator.attempt         one of these, whatever may go wrong
Separator.attempt_all     all of them, reading and writing beside the model
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from unbraid.audio.channels import default_channel_names
from unbraid.engines.devices import free_gpu_bytes
from unbraid.errors import SettingsError, UnbraidError
from unbraid.models.base import ModelSpec, SeparationModel, TensorModel
from unbraid.separation.progress import CancelToken, Progress
from unbraid.separation.settings import SeparationSettings
from unbraid.threads import set_threads
from unbraid.tracks.attempts import attempted, naming
from unbraid.tracks.dry_run import estimate_track
from unbraid.tracks.estimate import (
    ModelCost,
    fit_batch,
    fit_segment,
    measure_cost,
    parse_bytes,
    segment_seconds,
)
from unbraid.tracks.flow import Route, map_channels, meter_blocks
from unbraid.tracks.inputs import identities
from unbraid.tracks.job import TrackJob
from unbraid.tracks.line import separate_line
from unbraid.tracks.model import prepare_model
from unbraid.tracks.names import InputTrack, OutputPlan, plan_outputs
from unbraid.tracks.result import TrackResult, failed
from unbraid.tracks.settings import OutputSettings, choose_parts
from unbraid.tracks.signals import Signal, alike, as_source
from unbraid.tracks.track import TrackWork, separate_track
from unbraid.tracks.tuning import Choice, load_choice

__all__ = ["OutputSettings", "Separator", "TrackResult", "separate"]

_DEFAULT_OUTPUT = OutputSettings()


class Separator:
    """A model and how it separates; takes signals and files.

    Args:
        model: name or path of a model, or a model itself.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        overlap, shifts, seed, segment_s: see `SeparationSettings`.
        on_progress: called with `Progress`; its fraction is that of the whole song.
        precision: "auto", "fp32", "bf16" or "fp16".
        threads: on the CPU, in this whole process, torch's too; None leaves them as they are.
            "auto" takes what `unbraid bench` found for this model on this machine: threads, the
            batch, and with device "auto" the device.
        max_memory: bytes, or a text such as "2GB": segments are shortened to stay below it.
            On a GPU it is the device's memory.
        batch_size: segments in one pass; None for as many as a GPU has room for, one on the CPU.
    Raises:
        SettingsError: for settings that cannot be, or that this machine cannot meet.
        ModelError: if there is no such model, or its file is refused.
    """

    def __init__(
        self,
        model: SeparationModel | TensorModel | str | Path = "mini",
        device: str = "auto",
        overlap: float = 0.25,
        shifts: int = 0,
        seed: int = 0,
        on_progress: Callable[[Progress], None] | None = None,
        *,
        segment_s: float | None = None,
        precision: str = "auto",
        threads: int | str | None = None,
        max_memory: int | str | None = None,
        batch_size: int | None = None,
    ) -> None:
        settings = SeparationSettings(
            segment_s=segment_s,
            overlap=overlap,
            shifts=shifts,
            seed=seed,
            batch_size=1 if batch_size is None else batch_size,
        )
        limit = parse_bytes(max_memory) if isinstance(max_memory, str) else max_memory
        if isinstance(threads, int):
            set_threads(threads)
        elif threads not in (None, "auto"):
            raise SettingsError(f'threads is a number, "auto" or None, got {threads!r}')
        self._ready = prepare_model(model, device, precision)
        choice = load_choice(lambda: self._fingerprint) if threads == "auto" else None
        if choice is not None:
            set_threads(choice.threads)
            if device == "auto" and choice.device != self._ready.device:
                self._ready = prepare_model(model, choice.device, precision)
        if limit is not None:
            settings = fit_segment(self._ready, settings, limit)
        if batch_size is None:
            settings = self._with_batch(settings, choice, limit)
        self._settings = settings
        self.on_progress = on_progress

    def _with_batch(
        self, settings: SeparationSettings, choice: Choice | None, limit: int | None
    ) -> SeparationSettings:
        """The batch that was measured; else as many segments as fit beside each other on a GPU."""
        if choice is not None and limit is None and choice.device == self._ready.device:
            return replace(settings, batch_size=choice.batch_size)
        free = free_gpu_bytes(self._ready.device)
        if free is None:
            return settings
        return fit_batch(self._ready, settings, free if limit is None else min(free, limit))

    @property
    def spec(self) -> ModelSpec:
        """Stems, sample rate and channels of the model."""
        return self._ready.model.spec

    @property
    def model_name(self) -> str:
        return self._ready.name

    @property
    def model_licence(self) -> str:
        """Of the weights; empty if it is not known."""
        return self._ready.licence

    @property
    def segment_s(self) -> float:
        """Seconds of audio in one pass through the model."""
        return segment_seconds(self._ready.model, self._settings)

    @property
    def device(self) -> str:
        return self._ready.device

    @property
    def engine(self) -> str:
        """What runs the model, in words; where that is torch, also why."""
        return self._ready.engine

    @property
    def settings(self) -> SeparationSettings:
        """How it separates, with segments as shortened by `max_memory`."""
        return self._settings

    def separate(
        self, signal: Signal, sample_rate: int, *, cancel: CancelToken | None = None
    ) -> dict[str, Signal]:
        """Separate a signal in memory.

        Args:
            signal: (channels, samples), floating point, full scale at ±1; a tensor or an array. It
                is not changed.
            sample_rate: of the signal, Hz.
        Returns:
            for each stem a signal of the same kind, shape, type and device.
        Raises:
            ShapeError: if it is not such a signal.
            AudioError: if it holds numbers that are not finite.
        """
        source = as_source(signal)
        channel_map = map_channels(default_channel_names(len(source)), self.spec.channels)
        route = Route(
            model=self._ready.model,
            settings=self._settings,
            channel_map=channel_map,
            source_rate=sample_rate,
            output_rate=sample_rate,
            stems=tuple(range(len(self.spec.stems))),
        )
        samples = source.shape[1]
        estimates = route.estimates(
            lambda: [source],
            meter_blocks([source], channel_map, sample_rate, self.spec.sample_rate),
            samples,
            on_progress=self.on_progress,
            cancel=cancel,
        )
        parts = np.concatenate(list(route.outgoing(estimates, samples)), axis=-1)
        return {
            stem: alike(signal, part) for stem, part in zip(self.spec.stems, parts, strict=True)
        }

    def separate_file(
        self,
        path: str | os.PathLike[str],
        out: str | os.PathLike[str] = "separated",
        output: OutputSettings = _DEFAULT_OUTPUT,
        *,
        cancel: CancelToken | None = None,
    ) -> TrackResult:
        """Separate a file into files below `out`, all of them or none, in constant memory.

        Raises:
            UnbraidError: if it cannot be read, separated or written.
        """
        (plan,) = self.plan([InputTrack(Path(path))], out, output)
        return self.separate_planned(plan, output, cancel=cancel)

    def plan(
        self,
        tracks: Iterable[InputTrack],
        out: str | os.PathLike[str] = "separated",
        output: OutputSettings = _DEFAULT_OUTPUT,
    ) -> list[OutputPlan]:
        """Where the stems of many songs go, each apart from the others.

        Raises:
            SettingsError: if `output` does not fit the model, or its template the songs.
        """
        return plan_outputs(
            list(tracks),
            Path(out),
            output.filename,
            parts=choose_parts(output, self.spec.stems).names,
            ext=output.extension,
            model=self.model_name,
        )

    def separate_planned(
        self,
        plan: OutputPlan,
        output: OutputSettings = _DEFAULT_OUTPUT,
        *,
        inputs: Sequence[tuple[int, int]] = (),
        cancel: CancelToken | None = None,
    ) -> TrackResult:
        """Separate one song of a plan; `inputs` are (device, inode) of files never to replace.

        Raises:
            UnbraidError: if it cannot be read, separated or written.
        """
        job = TrackJob(self._ready, self._settings, output)
        with naming(plan):
            return separate_track(
                job,
                plan,
                job.request(self._fingerprint),
                inputs=inputs or identities([plan.track]),
                on_progress=self.on_progress,
                cancel=cancel,
            )

    def attempt(
        self,
        plan: OutputPlan,
        output: OutputSettings = _DEFAULT_OUTPUT,
        *,
        inputs: Sequence[tuple[int, int]] = (),
        cancel: CancelToken | None = None,
    ) -> TrackResult:
        """As `separate_planned`, but what goes wrong with this one song becomes its result.

        With UNBRAID_DEBUG in the environment a mistake of ours keeps its traceback in `error`.

        Raises:
            Cancelled: if `cancel` was.
        """
        return attempted(
            plan, lambda: self.separate_planned(plan, output, inputs=inputs, cancel=cancel)
        )

    def attempt_all(
        self,
        plans: Iterable[OutputPlan],
        output: OutputSettings = _DEFAULT_OUTPUT,
        *,
        inputs: Sequence[tuple[int, int]] = (),
        on_turn: Callable[[OutputPlan], None] | None = None,
        cancel: CancelToken | None = None,
    ) -> Generator[TrackResult, None, None]:
        """As `attempt` for many songs, in less time: the next one is read and the last one written
        while the model is at one. Their files and the order of their results are the same.

        Close it (`contextlib.closing`) where it may not be taken to its end.

        Args:
            on_turn: told of each song before it is separated; `on_progress` is then about it.
        Raises:
            Cancelled: while iterating, if `cancel` was.
        """
        plans, stop = list(plans), CancelToken(cancel)
        job = TrackJob(self._ready, self._settings, output)
        inputs = inputs or identities(plan.track for plan in plans)
        turn: OutputPlan | None = None

        def begin(plan: OutputPlan) -> None:
            nonlocal turn
            if plan is not turn and on_turn is not None:
                on_turn(plan)
            turn = plan

        def tell(plan: OutputPlan, progress: Progress) -> None:
            if plan is turn and self.on_progress is not None:
                self.on_progress(progress)

        def works() -> Iterator[TrackWork]:
            request = job.request(self._fingerprint)
            for plan in plans:
                yield TrackWork(job, plan, request, inputs, partial(tell, plan), stop)

        for plan in plans[:1]:  # nothing else is shown while it is read
            begin(plan)
        yield from separate_line(
            works(),
            lambda work, step: attempted(work.plan, step),
            lambda work: begin(work.plan),
            stop.cancel,
            elsewhere=self._ready.device != "cpu",
        )

    def estimate(self, plan: OutputPlan, output: OutputSettings = _DEFAULT_OUTPUT) -> TrackResult:
        """What a song would cost, without separating it: status "planned", or "failed".

        Time is measured once, on a second of noise; memory and disk are counted.
        """
        job = TrackJob(self._ready, self._settings, output)
        try:
            request = job.request(self._fingerprint)
            return estimate_track(job, plan, request, lambda: self._cost)
        except UnbraidError as error:
            return failed(plan, str(error))

    def request(self, output: OutputSettings = _DEFAULT_OUTPUT) -> str:
        """Digest of all that decides over a song's stems: weights, settings, output."""
        return TrackJob(self._ready, self._settings, output).request(self._fingerprint)

    @cached_property
    def _cost(self) -> ModelCost:
        return measure_cost(self._ready)

    @cached_property
    def _fingerprint(self) -> str:
        return self._ready.fingerprint()


def separate(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] = "separated",
    *,
    model: SeparationModel | TensorModel | str | Path = "mini",
    output: OutputSettings = _DEFAULT_OUTPUT,
    device: str = "auto",
) -> TrackResult:
    """Separate one file into files below `out`, with everything else as it is by default.

    Raises:
        UnbraidError: if it cannot be read, separated or written.
    """
    return Separator(model, device).separate_file(path, out, output)
