"""What a model takes for a second of audio, and from that the time and memory of a song."""

from __future__ import annotations

from dataclasses import dataclass

from unbraid.engines.cost import memory_now, pass_seconds, probe_noise
from unbraid.engines.prepare import ReadyModel
from unbraid.engines.run import at_once
from unbraid.engines.shared_passes import alone
from unbraid.models.base import SeparationModel
from unbraid.models.compose.bag import Bag
from unbraid.separation.engine import as_bag
from unbraid.separation.plan import plan_passes
from unbraid.separation.settings import SeparationSettings

_MARGIN = 1.25  # allocators round up, and libraries keep workspaces that torch does not show
_WORKSPACE = 90_000_000  # of decoders, encoders and threads, once a song runs (measured)
_PROBE_S = 1.0
_LONGEST_S = 4.0  # that a timed pass may take


@dataclass(frozen=True)
class ModelCost:
    """What one forward pass costs here.

    Attributes:
        seconds_per_s: time for a second of audio; None if it was not measured.
        bytes_per_s: memory for a second of audio in one pass, in addition to the weights.
        fixed_bytes: memory of a pass of any length.
        at_once: segments that go together where nothing else is said.
    """

    seconds_per_s: float | None
    bytes_per_s: float
    fixed_bytes: float = 0.0
    at_once: int = 1


def measure_cost(
    ready: ReadyModel, *, timed: bool = True, segment_s: float | None = None
) -> ModelCost:
    """Count what a pass over a second of noise takes in memory; and time passes, if that matters.

    The count of memory is the same each time and on each machine; the time is not.

    Args:
        timed: whether to measure the time: about two seconds and a segment of audio.
        segment_s: seconds in one pass; None for the model's own segment.
    """
    model = ready.model.member(0) if isinstance(ready.model, Bag) else alone(ready.model)
    seconds_per_s = _seconds_per_s(model, segment_s) if timed else None
    whole_s = model.spec.segment_samples / model.spec.sample_rate
    together = at_once(model, _probe_samples(model, segment_s or whole_s))
    return ModelCost(seconds_per_s, *_pass_memory(model), together)


def _pass_memory(model: SeparationModel) -> tuple[float, float]:
    """Bytes for a second of audio, and of a pass of any length, from passes of two lengths."""
    rate = model.spec.sample_rate
    short, long = (_probe_samples(model, length_s) for length_s in (_PROBE_S, 2 * _PROBE_S))
    held = model.pass_bytes(short)
    if long == short:  # a model that computes on one length only
        return held * rate / short, 0.0
    each = (model.pass_bytes(long) - held) / (long - short)
    return each * rate, max(0.0, held - each * short)


def _seconds_per_s(model: SeparationModel, segment_s: float | None) -> float:
    """Time for a second of audio in passes as long as those of a song.

    The first pass is not counted, as it packs weights and touches memory: it took twice as long as
    later ones; and a second of audio takes a fifth more in a pass of its own than in one of five.
    """
    _timed(model, _PROBE_S)
    short = _timed(model, _PROBE_S)
    own_s = model.spec.segment_samples / model.spec.sample_rate
    length_s = min(segment_s or own_s, _LONGEST_S / short)
    return _timed(model, length_s) if length_s > _PROBE_S else short


def _timed(model: SeparationModel, length_s: float) -> float:
    samples = _probe_samples(model, length_s)
    noise = probe_noise(model.spec.channels, samples)
    return pass_seconds(model, noise) * model.spec.sample_rate / samples


def _probe_samples(model: SeparationModel, length_s: float) -> int:
    spec = model.spec
    return model.valid_samples(max(1, min(int(length_s * spec.sample_rate), spec.segment_samples)))


def separation_seconds(
    cost: ModelCost, ready: ReadyModel, settings: SeparationSettings, seconds: float, groups: int
) -> float:
    """Time to separate `seconds` of audio with a number of channel groups."""
    rate = ready.model.spec.sample_rate
    passes = plan_passes(as_bag(ready.model), max(1, int(seconds * rate)), settings)
    return (cost.seconds_per_s or 0.0) * groups * sum(plan.work for plan in passes) / rate


def segment_seconds(model: SeparationModel, settings: SeparationSettings) -> float:
    """Length of the segments."""
    return settings.segment_s or model.spec.segment_samples / model.spec.sample_rate


def memory_bytes(
    cost: ModelCost,
    ready: ReadyModel,
    settings: SeparationSettings,
    longest_s: float = float("inf"),
) -> float:
    """Memory of the whole process at its peak; on a GPU that of the device.

    Args:
        longest_s: length of the song in seconds: segments are no longer than that, unless the model
            computes on one length only. Any song by default.
    """
    spec = ready.model.spec
    segment_s = segment_seconds(ready.model, settings)
    if longest_s < segment_s:
        samples = ready.model.valid_samples(max(1, int(longest_s * spec.sample_rate)))
        segment_s = min(segment_s, samples / spec.sample_rate)
    # Sums and neighbourhoods of the engine: some segments of estimates in float32.
    engine = 4 * segment_s * spec.sample_rate * spec.channels * (len(spec.stems) + 1) * 4
    one_pass = cost.fixed_bytes + cost.bytes_per_s * segment_s
    passes = one_pass * (settings.batch_size or cost.at_once) * _MARGIN
    fixed = 0 if ready.device.startswith("cuda") else _WORKSPACE
    return memory_now(ready.device) + fixed + passes + engine
