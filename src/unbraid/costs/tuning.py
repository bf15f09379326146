"""What runs fastest here: a short measurement of a model on this machine, and what it found, kept.

Only settings that do not change the stems are chosen: device, threads and batch. Segments of other
lengths are measured too, to be shown; their stems would be others.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from unbraid.atomic import write_text
from unbraid.cache_root import cache_root, is_there
from unbraid.costs.model_cost import (
    ModelCost,
    measure_cost,
    memory_bytes,
    segment_seconds,
)
from unbraid.engines.choose import why_torch
from unbraid.engines.cost import pass_seconds, probe_noise
from unbraid.engines.devices import gpu_names
from unbraid.engines.prepare import ReadyModel
from unbraid.models.base import SeparationModel
from unbraid.models.compose.bag import Bag
from unbraid.separation.settings import SeparationSettings
from unbraid.threads import get_threads, processors, set_threads
from unbraid.version import __version__

_PROBE_S = 1.0
_BATCHES = (2, 4)
_PATIENCE_S = 10.0  # whatever the budget, for what a song really takes
_WORTH = 0.9  # a batch takes memory: it has to be a tenth faster


@dataclass(frozen=True)
class Choice:
    """How a model is run.

    Attributes:
        device: as torch names it.
        threads: on the CPU.
        batch_size: segments in one forward pass.
    """

    device: str
    threads: int
    batch_size: int = 1


@dataclass(frozen=True)
class Trial:
    """One measurement.

    Attributes:
        choice: how the model was run.
        segment_s: seconds of audio in one segment.
        seconds_per_s: time for a second of audio, overlap apart.
        memory_bytes: of the process (or the GPU) with such segments.
    """

    choice: Choice
    segment_s: float
    seconds_per_s: float
    memory_bytes: float


def measure(
    prepare: Callable[[str], ReadyModel],
    devices: Sequence[str],
    *,
    budget_s: float = 2.0,
    max_bytes: int | None = None,
) -> list[Trial]:
    """Try devices and threads on a second of audio; with the best, segments and batches.

    All devices and threads are tried, however long it takes: there would be nothing to choose
    otherwise. So are the model's own segments, after a quarter and half of them, as long as each
    takes ten seconds at most: a second of audio by itself may take many times what it takes in
    them. Batches are left out where they would not fit into what is left of the time; all that
    would take too much memory is. Threads are as before when it ends.

    Args:
        prepare: gives the model on a device; called once for each.
        devices: to try, such as ("cpu", "mps").
        budget_s: seconds after which no optional measurement is started.
        max_bytes: memory that no trial may take; None for no limit.
    Returns:
        the trials in their order; the first ones are of the same length.
    """
    threads_before = get_threads()
    bench = _Bench(time.monotonic() + budget_s, max_bytes)
    try:
        places = {}
        for device in devices:
            places[device] = prepare(device)
            for threads in _thread_counts() if device == "cpu" else (threads_before,):
                bench.make(places[device], Choice(device, threads), _PROBE_S)
        best = min(bench.trials, key=lambda trial: trial.seconds_per_s).choice
        own_s = segment_seconds(places[best.device].model, SeparationSettings())
        for segment_s in (own_s / 4, own_s / 2, own_s):
            if segment_s > _PROBE_S:
                bench.try_(places[best.device], best, segment_s, _PATIENCE_S)
        for batch in _BATCHES:
            bench.try_(places[best.device], replace(best, batch_size=batch), own_s)
    finally:
        set_threads(threads_before)
    return bench.trials


def choose(trials: Sequence[Trial]) -> Choice:
    """Device and threads of the fastest trial, and the batch if that is a tenth faster."""
    best = min((t for t in trials if t.choice.batch_size == 1), key=lambda t: t.seconds_per_s)
    alike = [t for t in trials if replace(t.choice, batch_size=1) == best.choice]
    batched = [t for t in alike if t.choice.batch_size > 1]
    if batched:
        fastest = min(batched, key=lambda t: t.seconds_per_s)
        single = [t for t in alike if t.choice == best.choice and t.segment_s == fastest.segment_s]
        if single and fastest.seconds_per_s < _WORTH * single[0].seconds_per_s:
            return fastest.choice
    return best.choice


def make_place() -> None:
    """Make the folder in which choices are kept, before time is spent on measuring.

    Raises:
        OSError: if it cannot be made.
    """
    _folder().mkdir(parents=True, exist_ok=True)


def save_choice(choice: Choice, fingerprint: str) -> Path:
    """Keep what was chosen for a model, known by its fingerprint, on this machine."""
    path = _path(fingerprint)
    make_place()
    write_text(path, json.dumps(asdict(choice)) + "\n")
    return path


def load_choice(fingerprint: Callable[[], str]) -> Choice | None:
    """What was chosen for a model; None if nothing was, or if it cannot be read.

    Args:
        fingerprint: of the model; not called where nothing was ever chosen, as it may take a while.
    """
    if not is_there(_folder()):
        return None
    try:
        found = Choice(**json.loads(_path(fingerprint()).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    whole = (found.threads, found.batch_size)
    fits = isinstance(found.device, str) and all(type(n) is int and 1 <= n <= 4096 for n in whole)
    return found if fits else None


def _version(package: str) -> str:
    """The version of a package; "" if it is not installed."""
    # Where nothing was ever chosen, which is usual, nobody asks.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def hardware() -> str:
    """What a measurement holds for: processor, cores, GPUs, what runs models, unbraid."""
    engine = "native" if why_torch("cpu") is None else "torch"
    facts = [_processor(), _cores(), gpu_names(), _version("torch"), engine, __version__]
    return json.dumps(facts)


class _Bench:
    """Makes trials until the time is up."""

    def __init__(self, deadline: float, max_bytes: int | None) -> None:
        self.trials: list[Trial] = []
        self._deadline = deadline
        self._max_bytes = max_bytes
        self._costs: dict[str, ModelCost] = {}
        self._models: dict[str, SeparationModel] = {}

    def try_(
        self, ready: ReadyModel, choice: Choice, segment_s: float, patience_s: float = 0.0
    ) -> None:
        """Make a trial if there is memory for it, and time left, or so many seconds are enough."""
        need, audio_s = self._need(ready, choice, segment_s), segment_s * choice.batch_size
        if self._fits(need, audio_s, patience_s):
            self.make(ready, choice, segment_s)

    def make(self, ready: ReadyModel, choice: Choice, segment_s: float) -> None:
        """Make a trial."""
        set_threads(choice.threads)
        seconds = _fastest(self._model(ready), choice.batch_size, segment_s)
        need = self._need(ready, choice, segment_s)
        self.trials.append(Trial(choice, segment_s, seconds, need))

    def _model(self, ready: ReadyModel) -> SeparationModel:
        """The model as a song would meet it; of a bag, the first."""
        if ready.device not in self._models:
            model = ready.model.member(0) if isinstance(ready.model, Bag) else ready.model
            self._models[ready.device] = model
        return self._models[ready.device]

    def _need(self, ready: ReadyModel, choice: Choice, segment_s: float) -> float:
        settings = SeparationSettings(segment_s=segment_s, batch_size=choice.batch_size)
        return memory_bytes(self._cost(ready), ready, settings)

    def _cost(self, ready: ReadyModel) -> ModelCost:
        if ready.device not in self._costs:
            self._costs[ready.device] = measure_cost(ready, timed=False)
        return self._costs[ready.device]

    def _fits(self, need: float, audio_s: float, patience_s: float) -> bool:
        if self._max_bytes is not None and need > self._max_bytes:
            return False
        expected = min(trial.seconds_per_s for trial in self.trials) * audio_s
        return 2 * expected < max(self._deadline - time.monotonic(), patience_s)


def _fastest(model: SeparationModel, batch: int, segment_s: float) -> float:
    """Seconds for a second of audio: the better of two passes, as the first one prepares things."""
    spec = model.spec
    samples = model.valid_samples(max(1, int(segment_s * spec.sample_rate)))
    noise = probe_noise(spec.channels, samples, batch)
    seconds = min(pass_seconds(model, noise) for _ in range(2))
    return seconds * spec.sample_rate / (samples * batch)


def _thread_counts() -> Iterator[int]:
    """1, 2, 4 ... and all cores."""
    cores, threads = _cores(), 1
    while threads < cores:
        yield threads
        threads *= 2
    yield cores


def _cores() -> int:
    return len(processors())


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _folder() -> Path:
    return cache_root() / "tuning"


def _path(fingerprint: str) -> Path:
    key = hashlib.sha256(f"{fingerprint} {hardware()}".encode()).hexdigest()
    return _folder() / f"{key[:32]}.json"
