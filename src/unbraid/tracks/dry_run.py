"""What a song would cost and where its stems would go, without separating it."""

from __future__ import annotations

from collections.abc import Callable

from unbraid.audio.files import probe
from unbraid.costs.file_cost import file_seconds
from unbraid.costs.model_cost import ModelCost, memory_bytes, separation_seconds
from unbraid.costs.sizes import disk_bytes
from unbraid.tracks.decode import find_done
from unbraid.tracks.job import TrackJob
from unbraid.tracks.names import OutputPlan
from unbraid.tracks.result import TrackResult


def estimate_track(job: TrackJob, plan: OutputPlan, cost: Callable[[], ModelCost]) -> TrackResult:
    """The result of a dry run: status "planned", or "skipped" if the song is done. Writes nothing.

    Args:
        cost: measures what the model costs; called only if there is a song to separate.
    Raises:
        UnbraidError: if the song cannot be read or its stems not be written in the format.
    """
    done = find_done(job, plan)
    if done is not None:
        return done
    info = probe(plan.track.file, stream=plan.track.stream)
    delivery = job.delivery(info)
    rate, groups = delivery.sample_rate, len(delivery.channel_map.groups)
    seconds = info.duration_s or 0.0
    disk = disk_bytes(
        int(seconds * rate),
        info.channels,
        len(job.parts.stems),
        len(job.parts.written),
        delivery.format,
        rate,
    )
    source = int(seconds * info.sample_rate) * info.channels * 4
    wall = separation_seconds(cost(), job.model, job.settings, seconds, groups)
    wall += seconds * file_seconds(
        delivery.format,
        rate,
        info.channels,
        len(job.parts.written),
        lossy_check=job.parts.complete,
    )
    memory = memory_bytes(cost(), job.model, job.settings, info.duration_s or float("inf"))
    return TrackResult(
        input=str(plan.track.path),
        status="planned",
        outputs={part: plan.path(part) for part in plan.files},
        seconds_audio=info.duration_s,
        sample_rate=rate,
        channels=info.channels,
        stream=info.stream,
        estimate={
            "seconds_wall": round(wall, 1),
            "memory_mb": round(memory / 1e6),
            "disk_mb": round((disk + source) / 1e6, 1),
        },
    )
