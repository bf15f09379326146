"""Where a model runs, and the model made ready for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from unbraid.costs.fit import fit_batch, fit_segment
from unbraid.costs.sizes import parse_bytes
from unbraid.costs.tuning import Choice, load_choice
from unbraid.engines.devices import free_gpu_bytes
from unbraid.engines.prepare import ReadyModel, prepare_model
from unbraid.engines.run import runs_elsewhere
from unbraid.engines.shared_passes import SharedPasses
from unbraid.errors import SettingsError
from unbraid.models.base import SeparationModel, TensorModel
from unbraid.models.compose.bag import Bag
from unbraid.separation.settings import SeparationSettings
from unbraid.threads import MOST_THREADS, set_threads


@dataclass(frozen=True)
class RunSettings:
    """Where a model runs, and what it may take there.

    Attributes:
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        precision: "auto", "fp32", "bf16" or "fp16".
        threads: on the CPU, for this whole process including torch; None for the default.
            "auto" takes what `unbraid bench` found for this model on this machine: threads, the
            batch, and with device "auto" the device.
        max_memory: bytes, or a text such as "2GB": segments are shortened to stay below it. On a
            GPU it is the device's memory.
        batch_size: segments in one pass; None for as many as a GPU has room for, on the CPU for as
            many as the model computes side by side, or one if there is a `max_memory`.
        model_config: the YAML for a file of plain weights, if it is not next to the file.
    Raises:
        SettingsError: for a value that cannot be.
    """

    device: str = "auto"
    precision: str = "auto"
    threads: int | str | None = None
    max_memory: int | str | None = None
    batch_size: int | None = None
    model_config: str | Path | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.threads, int) and self.threads not in (None, "auto"):
            raise SettingsError(f'threads is a number, "auto" or None, got {self.threads!r}')
        if isinstance(self.threads, int) and not 1 <= self.threads <= MOST_THREADS:
            raise SettingsError(f"threads are from 1 to {MOST_THREADS}, got {self.threads}")
        _ = self.max_bytes

    @cached_property
    def max_bytes(self) -> int | None:
        """`max_memory` as a number."""
        if isinstance(self.max_memory, str):
            return parse_bytes(self.max_memory)
        return self.max_memory

    def prepare(
        self, model: SeparationModel | TensorModel | str | Path, settings: SeparationSettings
    ) -> tuple[ReadyModel, SeparationSettings]:
        """The model on its device, and the settings with segments and batches that fit there.

        Raises:
            SettingsError: if this machine cannot meet these settings.
            ModelError: if no model has that name, or its file is refused.
        """
        if isinstance(self.threads, int):
            set_threads(self.threads)
        ready = prepare_model(model, self.device, self.precision, self.model_config)
        choice = load_choice(ready.fingerprint) if self.threads == "auto" else None
        if choice is not None:
            set_threads(choice.threads)
            if self.device == "auto" and choice.device != ready.device:
                ready = prepare_model(model, choice.device, self.precision, self.model_config)
        if self.max_bytes is not None:
            settings = fit_segment(ready, settings, self.max_bytes)
        if self.batch_size is None:
            settings = self._with_batch(ready, settings, choice)
        return _shared(ready, settings), settings

    def _with_batch(
        self, ready: ReadyModel, settings: SeparationSettings, choice: Choice | None
    ) -> SeparationSettings:
        """The measured batch size; else as many segments as fit on a GPU at once."""
        limit = self.max_bytes
        alike = choice is not None and choice.device == ready.device
        if choice is not None and alike and choice.batch_size > 1 and limit is None:
            return replace(settings, batch_size=choice.batch_size)
        free = free_gpu_bytes(ready.device)
        if free is None:
            return settings if limit is None else replace(settings, batch_size=1)
        return fit_batch(ready, settings, free if limit is None else min(free, limit))


def _shared(ready: ReadyModel, settings: SeparationSettings) -> ReadyModel:
    """On a GPU, the model for several songs at once; a bag loads its members one at a time."""
    model, rows = ready.model, settings.batch_size
    if (
        rows in (None, 1)
        or not settings.split
        or isinstance(model, Bag)
        or not runs_elsewhere(model)
    ):
        return ready
    spec, samples = model.spec, model.spec.segment_samples
    if settings.segment_s is not None:
        samples = int(spec.sample_rate * settings.segment_s)
    return replace(ready, model=SharedPasses(model, rows, model.valid_samples(samples)))
