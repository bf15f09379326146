"""The second step: a decoded song goes through the model, into a spool of stems."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from unbraid.closing import Closing
from unbraid.engines.ready import one_by_one
from unbraid.separation.streaming import EstimatesBlock
from unbraid.side_by_side import Downstream
from unbraid.tracks.decode import Decoded
from unbraid.tracks.failures import naming_the_disk
from unbraid.tracks.route import ChannelMap, Route
from unbraid.tracks.spool import Spool, SpoolView

_FIRST, _LAST = 0.04, 0.94  # of the song's progress


@dataclass(frozen=True, eq=False)
class Separated(Closing):
    """A song whose stems are ready to be written.

    Attributes:
        decoded: the song.
        stems: spool of the written stems, interleaved (stems x channels), at the output rate.
        seconds: time it has taken so far.
    """

    decoded: Decoded
    stems: Spool
    seconds: float

    def close(self) -> None:
        """Remove what is not finished. Calling it twice is fine."""
        self.decoded.close()


def separate(decoded: Decoded, on_free: Callable[[], None] | None = None) -> Separated:
    """Put a song through the model.

    Args:
        on_free: called, on any thread, when another song may have the model.
    Raises:
        UnbraidError: if it cannot be separated, or the disk is full.
        Cancelled: if its watch says so.
    """
    begun = time.monotonic()
    job, delivery = decoded.job, decoded.delivery
    model, channel_map = job.model.model.narrow(job.parts.sources), delivery.channel_map
    route = Route(
        model=one_by_one(model) if len(channel_map.groups) > 1 else model,
        settings=job.settings,
        channel_map=channel_map,
        source_rate=decoded.info.sample_rate,
        output_rate=delivery.sample_rate,
        stems=job.parts.indices,
    )
    with naming_the_disk(decoded.plan):
        stems = _stems(decoded, route, on_free)
    return Separated(decoded, stems, decoded.seconds + time.monotonic() - begun)


def _stems(decoded: Decoded, route: Route, on_free: Callable[[], None] | None) -> Spool:
    path = decoded.scratch.folder / "stems.f32"
    channels, samples = decoded.info.channels, decoded.sound.samples
    parts = decoded.job.parts
    rows = len(parts.stems) * channels

    def write_down(estimates: Iterator[EstimatesBlock]) -> None:
        for block in route.outgoing(estimates, samples):
            spool.append(_summed(block, parts.sums).reshape(rows, -1))

    estimates = route.estimates(
        decoded.sound.blocks,
        decoded.loudness,
        samples,
        scratch_dir=decoded.scratch.folder,
        watch=replace(decoded.watch.within(_FIRST, _LAST), on_free=on_free),
    )
    # Finished samples go to disk while the model runs the next segment. What is open of the song is
    # closed also if that fails: its error holds this frame, and so the song's disk space.
    with (
        closing(estimates),
        Spool(path, rows) as spool,
        Downstream(write_down, _waiting_blocks(route.channel_map)) as stream,
    ):
        if decoded.watch.on_stems is not None:
            view = SpoolView(str(path), parts.stems, channels, route.output_rate)
            decoded.watch.on_stems(view)
        for block in estimates:
            stream.push(block)
    return spool


def _summed(block: np.ndarray, sums: Sequence[Sequence[int]]) -> np.ndarray:
    """The sums of stems that are written, (s c n), of the model's stems (s c n)."""
    if all(len(places) == 1 for places in sums):  # each stem for itself: nothing is copied
        return block
    return np.stack([block[list(places)].sum(axis=0) for places in sums])


def _waiting_blocks(channel_map: ChannelMap) -> int:
    """How many blocks may wait to be written: all of a segment, unless there are many channels."""
    return max(2, 64 // len(channel_map.groups))
