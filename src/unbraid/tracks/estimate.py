"""What a song will cost: time, memory and disk, before it is separated."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from unbraid.audio.write import AudioFormat
from unbraid.engines.cost import memory_now, pass_seconds, probe_noise
from unbraid.errors import SettingsError
from unbraid.models.base import SeparationModel
from unbraid.models.compose.bag import Bag
from unbraid.separation.engine import as_bag
from unbraid.separation.plan import plan_passes
from unbraid.separation.settings import SeparationSettings
from unbraid.tracks.model import ReadyModel
from unbraid.tracks.settings import Parts

_SPOOL_BYTES = 4
_LOSSY_KBPS = 320
_MARGIN = 1.25  # allocators round up, and libraries keep workspaces that torch does not show
_WORKSPACE = 90_000_000  # of decoders, encoders and threads, once a song runs (measured)
_BATCHES, _SHARE_OF_FREE = (16, 8, 4, 2), 0.8
_BATCH_S = 400.0  # of audio in one pass: an H200 gains nothing from more (benchmarks/README.md)
_PROBE_S = 1.0
_SHORTEST_S = 0.5
_STEP_S = 0.25


@dataclass(frozen=True)
class ModelCost:
    """What one forward pass costs here.

    Attributes:
        seconds_per_s: time for a second of audio; None if it was not measured.
        bytes_per_s: memory for a second of audio in one pass, beside the weights.
    """

    seconds_per_s: float | None
    bytes_per_s: float


def measure_cost(ready: ReadyModel, *, timed: bool = True) -> ModelCost:
    """Run the model on a second of noise, counting tensors; and once more, if the time matters.

    The count of memory is the same each time and on each machine; the time is not.
    """
    model = ready.model.member(0) if isinstance(ready.model, Bag) else ready.model
    spec = model.spec
    samples = max(1, min(int(_PROBE_S * spec.sample_rate), spec.segment_samples))
    samples = model.valid_samples(samples)
    length_s = samples / spec.sample_rate
    held = model.pass_bytes(samples) / length_s
    if not timed:
        return ModelCost(None, held)
    noise = probe_noise(spec.channels, samples)
    return ModelCost(pass_seconds(model, noise) / length_s, held)


def separation_seconds(
    cost: ModelCost, ready: ReadyModel, settings: SeparationSettings, seconds: float, groups: int
) -> float:
    """Time to separate `seconds` of audio with so many groups of channels."""
    rate = ready.model.spec.sample_rate
    passes = plan_passes(as_bag(ready.model), max(1, int(seconds * rate)), settings)
    return (cost.seconds_per_s or 0.0) * groups * sum(plan.work for plan in passes) / rate


def segment_seconds(model: SeparationModel, settings: SeparationSettings) -> float:
    """Length of the segments."""
    return settings.segment_s or model.spec.segment_samples / model.spec.sample_rate


def memory_bytes(cost: ModelCost, ready: ReadyModel, settings: SeparationSettings) -> float:
    """Memory of the whole process at its peak, for a song of any length.

    On a GPU: memory of the device.
    """
    spec = ready.model.spec
    segment_s = segment_seconds(ready.model, settings)
    # Sums and neighbourhoods of the engine: some segments of estimates in float32.
    engine = 4 * segment_s * spec.sample_rate * spec.channels * (len(spec.stems) + 1) * 4
    passes = cost.bytes_per_s * segment_s * settings.batch_size * _MARGIN
    fixed = 0 if ready.device.startswith("cuda") else _WORKSPACE
    return memory_now(ready.device) + fixed + passes + engine


def fit_segment(
    ready: ReadyModel, settings: SeparationSettings, max_bytes: int
) -> SeparationSettings:
    """Settings whose segments are short enough to stay below `max_bytes`; as they are if they do.

    Steps of a quarter of a second keep the choice, and with it the stems, the same from run to run.

    Raises:
        SettingsError: if even a segment of half a second takes more, or if the model computes on
            segments of one length.
    """
    spec = ready.model.spec
    if spec.segment_samples > 1 and ready.model.valid_samples(1) >= spec.segment_samples:
        raise SettingsError(
            f"this model computes on {segment_seconds(ready.model, settings):g} s at a time, so "
            "its memory cannot be limited; unbraid export --segment makes one that takes less"
        )
    cost = measure_cost(ready, timed=False)
    need = memory_bytes(cost, ready, settings)
    if need <= max_bytes:
        return settings
    steps = int(segment_seconds(ready.model, settings) / _STEP_S)
    for step in range(steps, int(_SHORTEST_S / _STEP_S) - 1, -1):
        shorter = replace(settings, segment_s=step * _STEP_S)
        if memory_bytes(cost, ready, shorter) <= max_bytes:
            return shorter
    least = memory_bytes(cost, ready, replace(settings, segment_s=_SHORTEST_S))
    raise SettingsError(
        f"{shown_bytes(max_bytes)} of memory are too little: this model takes about "
        f"{shown_bytes(least)} even with segments of {_SHORTEST_S} s"
    )


def fit_batch(
    ready: ReadyModel, settings: SeparationSettings, free_bytes: int
) -> SeparationSettings:
    """Settings with as many segments in one pass as fit into the free memory of a GPU.

    A power of two up to 16, and no more than 400 s of audio, by which a GPU is busy; a fifth of the
    memory is left alone.
    """
    cost = measure_cost(ready, timed=False)
    now = memory_now(ready.device)
    segment_s = segment_seconds(ready.model, settings)
    for batch in _BATCHES:
        if batch * segment_s > _BATCH_S:
            continue
        larger = replace(settings, batch_size=batch)
        if memory_bytes(cost, ready, larger) - now <= _SHARE_OF_FREE * free_bytes:
            return larger
    return settings


def disk_bytes(
    samples: int, channels: int, parts: Parts, chosen: AudioFormat, sample_rate: int
) -> int:
    """Disk for the stems of `samples` at `sample_rate`, with what is there only meanwhile."""
    spooled = samples * channels * _SPOOL_BYTES * len(parts.stems)
    if chosen.bits is not None:
        encoded = samples * channels * len(parts.names) * (chosen.bits // 8)
    else:
        kbps = (chosen.kbps or _LOSSY_KBPS) * max(1.0, channels / 2)
        encoded = int(samples / sample_rate * kbps * 125) * len(parts.names)
    return spooled + encoded


def parse_bytes(text: str) -> int:
    """Bytes in "2GB", "1.5 GiB", "800M" or "1000000".

    Raises:
        SettingsError: for anything else.

    >>> parse_bytes("2GB"), parse_bytes("1GiB")
    (2000000000, 1073741824)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", text.lower())
    if not match or (match[3] and not match[2]):
        raise SettingsError(f"a size of memory is written as 2GB or 800MB, got {text!r}")
    base = 1024 if match[3] else 1000
    size = int(float(match[1]) * base ** " kmgt".index(match[2] or " "))
    if size < 1:
        raise SettingsError(f"a size of memory is more than nothing, got {text!r}")
    return size


def shown_bytes(count: float) -> str:
    """
    >>> shown_bytes(1_234_000_000), shown_bytes(5_000_000)
    ('1.23 GB', '5 MB')
    """
    return f"{count / 1e9:.3g} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"
