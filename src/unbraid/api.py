"""Songs in, stems out: the face that the command line, batches and the web stand on.

Separator.separate        a signal in memory -> {stem: signal}
Separator.separate_file   a file -> files
Separator.plan            many files -> where their stems go
Separator.attempt         one of these, whatever may go wrong
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from unbraid.audio.channels import default_channel_names
from unbraid.audio.container import shown
from unbraid.audio.files import probe
from unbraid.errors import AudioError, Cancelled, ShapeError, UnbraidError
from unbraid.models.base import ModelSpec, SeparationModel
from unbraid.runtimes.torch_runtime import adapt
from unbraid.separation.progress import CancelToken, Progress
from unbraid.separation.settings import SeparationSettings
from unbraid.tracks.estimate import (
    ModelCost,
    disk_bytes,
    fit_segment,
    measure_cost,
    memory_bytes,
    parse_bytes,
    separation_seconds,
)
from unbraid.tracks.flow import Route, map_channels, meter_blocks
from unbraid.tracks.model import prepare_model
from unbraid.tracks.names import InputTrack, OutputPlan, plan_outputs
from unbraid.tracks.settings import OutputSettings, choose_format, choose_parts, choose_rate
from unbraid.tracks.track import TrackJob, TrackResult, peak_rss_mb, separate_track

__all__ = ["OutputSettings", "Separator", "TrackResult", "separate"]

Signal = TypeVar("Signal", Tensor, np.ndarray)

_MOST_CHANNELS = 64
_DEFAULT_OUTPUT = OutputSettings()


class Separator:
    """A model and how it separates; takes signals and files.

    Args:
        model: name or path of a model, or a model itself.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        overlap, shifts, seed, segment_s, batch_size: see `SeparationSettings`.
        on_progress: called with `Progress`; its fraction is that of the whole song.
        precision: "auto", "fp32", "bf16" or "fp16".
        threads: for torch on the CPU, in this whole process; None leaves them as they are.
        max_memory: bytes, or a text such as "2GB": segments are shortened to stay below it.
            On a GPU it is the device's memory.
    Raises:
        SettingsError: for settings that cannot be, or that this machine cannot meet.
        ModelError: if there is no such model, or its file is refused.
    """

    def __init__(
        self,
        model: SeparationModel | str | Path = "mini",
        device: str = "auto",
        overlap: float = 0.25,
        shifts: int = 0,
        seed: int = 0,
        on_progress: Callable[[Progress], None] | None = None,
        *,
        segment_s: float | None = None,
        precision: str = "auto",
        threads: int | None = None,
        max_memory: int | str | None = None,
        batch_size: int = 1,
    ) -> None:
        settings = SeparationSettings(
            segment_s=segment_s, overlap=overlap, shifts=shifts, seed=seed, batch_size=batch_size
        )
        limit = parse_bytes(max_memory) if isinstance(max_memory, str) else max_memory
        if threads is not None:
            torch.set_num_threads(threads)
        self._ready = prepare_model(model, device, precision)
        self._settings = settings if limit is None else fit_segment(self._ready, settings, limit)
        self.on_progress = on_progress

    @property
    def spec(self) -> ModelSpec:
        """Stems, sample rate and channels of the model."""
        return self._ready.model.spec

    @property
    def model_name(self) -> str:
        return self._ready.name

    @property
    def device(self) -> str:
        return self._ready.device

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
        source = _as_source(signal)
        channel_map = map_channels(default_channel_names(len(source)), self.spec.channels)
        route = Route(
            model=adapt(self._ready.model, self._ready.device, self._ready.precision),
            settings=self._settings,
            channel_map=channel_map,
            source_rate=sample_rate,
            output_rate=sample_rate,
            stems=tuple(range(len(self.spec.stems))),
        )
        blocks = route.separate(
            lambda: [source],
            meter_blocks([source], channel_map, sample_rate, self.spec.sample_rate),
            source.shape[1],
            on_progress=self.on_progress,
            cancel=cancel,
        )
        estimates = np.concatenate(list(blocks), axis=-1)
        return {
            stem: _like(signal, part) for stem, part in zip(self.spec.stems, estimates, strict=True)
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
        try:
            return separate_track(
                job,
                plan,
                job.request(self._fingerprint),
                inputs=inputs or _identities([plan.track]),
                on_progress=self.on_progress,
                cancel=cancel,
            )
        except (OSError, MemoryError, torch.OutOfMemoryError) as error:
            raise AudioError(f"{shown(plan.track.path)}: {_reason(error)}") from error

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
        try:
            return self.separate_planned(plan, output, inputs=inputs, cancel=cancel)
        except Cancelled:
            raise
        except UnbraidError as error:
            return failed(plan, str(error))
        except Exception as error:
            if os.environ.get("UNBRAID_DEBUG"):
                return failed(plan, traceback.format_exc())
            return failed(
                plan,
                f"internal error: {type(error).__name__}: {error} "
                "(set UNBRAID_DEBUG=1 to see where)",
            )

    def estimate(self, plan: OutputPlan, output: OutputSettings = _DEFAULT_OUTPUT) -> TrackResult:
        """What a song would cost, without separating it: status "planned", or "failed".

        Time is measured once, on two seconds of noise; memory and disk are counted.
        """
        try:
            if plan.track.problem is not None:
                raise AudioError(plan.track.problem)
            info = probe(plan.track.path)
            chosen = choose_format(output, info)
            rate = choose_rate(output, info.sample_rate, self.spec.sample_rate, chosen)
            groups = map_channels(info.channel_names, self.spec.channels).groups
        except UnbraidError as error:
            return failed(plan, str(error))
        seconds = info.duration_s or 0.0
        parts = choose_parts(output, self.spec.stems)
        kept = int(seconds * info.sample_rate) * info.channels * 4
        disk = disk_bytes(int(seconds * rate), info.channels, parts, chosen, rate)
        work = separation_seconds(self._cost, self._ready, self._settings, seconds, len(groups))
        return TrackResult(
            input=str(plan.track.path),
            status="planned",
            outputs={part: plan.path(part) for part in plan.files},
            seconds_audio=info.duration_s,
            sample_rate=rate,
            channels=info.channels,
            estimate={
                "seconds_wall": round(work, 1),
                "memory_mb": round(memory_bytes(self._cost, self._ready, self._settings) / 1e6),
                "disk_mb": round((disk + kept) / 1e6, 1),
            },
        )

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
    model: SeparationModel | str | Path = "mini",
    output: OutputSettings = _DEFAULT_OUTPUT,
    device: str = "auto",
) -> TrackResult:
    """Separate one file into files below `out`, with everything else as it is by default.

    Raises:
        UnbraidError: if it cannot be read, separated or written.
    """
    return Separator(model, device).separate_file(path, out, output)


def failed(plan: OutputPlan, error: str) -> TrackResult:
    """The result of a song that could not be separated."""
    return TrackResult(
        input=str(plan.track.path), status="failed", error=error, peak_rss_mb=peak_rss_mb()
    )


def _identities(tracks: Iterable[InputTrack]) -> list[tuple[int, int]]:
    found = []
    for track in tracks:
        try:
            stat = track.path.stat()
        except OSError:
            continue
        found.append((stat.st_dev, stat.st_ino))
    return found


def _as_source(signal: Tensor | np.ndarray) -> np.ndarray:
    """A float32 copy (c t) of a signal, checked."""
    kind = "tensor" if isinstance(signal, Tensor) else "array"
    if not isinstance(signal, (Tensor, np.ndarray)):
        raise ShapeError(f"a signal is a tensor or an array, got {type(signal).__name__}")
    wanted = "a signal is floating point, (channels, samples)"
    if signal.ndim != 2 or 0 in signal.shape:
        hint = "; use signal[None] for one channel" if signal.ndim == 1 else ""
        raise ShapeError(f"{wanted}, got a {kind} of shape {tuple(signal.shape)}{hint}")
    if signal.shape[0] > _MOST_CHANNELS:
        raise ShapeError(
            f"{wanted}, got {signal.shape[0]} channels; transpose it if it is (samples, channels)"
        )
    floating = (
        signal.is_floating_point()
        if isinstance(signal, Tensor)
        else np.issubdtype(signal.dtype, np.floating)
    )
    if not floating:
        raise ShapeError(f"{wanted}, got {signal.dtype}; divide integers by their full scale")
    array = (
        signal.detach().cpu().to(torch.float32).numpy() if isinstance(signal, Tensor) else signal
    )
    source = np.array(array, np.float32)
    if not np.isfinite(source).all():
        raise AudioError("the signal holds NaN or Inf; repair it first")
    return source


def _like(signal: Signal, part: np.ndarray) -> Signal:
    if isinstance(signal, Tensor):
        return torch.from_numpy(part.copy()).to(signal.device, signal.dtype)
    return part.astype(signal.dtype)


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError):
        where = f" ({shown(Path(error.filename))})" if error.filename else ""
        return f"{(error.strerror or str(error)).lower()}{where}"
    return "there is not enough memory; use shorter segments (--segment) or --max-memory"
