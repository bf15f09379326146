"""Settings that fit into the memory there is."""

from __future__ import annotations

from dataclasses import replace

from unbraid.costs.model_cost import measure_cost, memory_bytes, segment_seconds
from unbraid.costs.sizes import shown_bytes
from unbraid.engines.cost import memory_now
from unbraid.engines.prepare import ReadyModel
from unbraid.errors import SettingsError
from unbraid.separation.settings import SeparationSettings

_BATCHES, _SHARE_OF_FREE = (16, 8, 4, 2), 0.8
_BATCH_S = 400.0  # of audio in one pass: an H200 gains nothing from more (benchmarks/README.md)
_SHORTEST_S = 0.5
_STEP_S = 0.25


def fit_segment(
    ready: ReadyModel, settings: SeparationSettings, max_bytes: int
) -> SeparationSettings:
    """Settings with segments short enough for `max_bytes`; unchanged if they fit already.

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
    settings = replace(settings, batch_size=settings.batch_size or 1)
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

    A power of two up to 16, and at most 400 s of audio, enough to keep a GPU busy; a fifth of the
    memory is left alone.
    """
    settings = replace(settings, batch_size=1)
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
