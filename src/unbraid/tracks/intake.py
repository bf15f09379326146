"""The first pass: a file is decoded once, into a spool, and looked over on the way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unbraid.audio.container import shown
from unbraid.audio.files import AudioInfo, read_blocks
from unbraid.errors import AudioReadError
from unbraid.separation.progress import CancelToken
from unbraid.separation.streaming import Loudness
from unbraid.side_by_side import ahead
from unbraid.tracks.flow import ChannelMap, meter_blocks
from unbraid.tracks.workplace import Spool


@dataclass(frozen=True)
class Intake:
    """A source at hand.

    Attributes:
        spool: its samples (c t) at its own rate, as decoded.
        loudness: as the model will hear it.
    """

    spool: Spool
    loudness: Loudness


def take_in(
    path: Path,
    info: AudioInfo,
    channel_map: ChannelMap,
    model_rate: int,
    folder: Path,
    *,
    cancel: CancelToken | None = None,
) -> Intake:
    """Decode `path` into a spool in `folder`, in constant memory.

    Raises:
        AudioReadError: if it cannot be read, holds no samples, or numbers that are not finite.
        OSError: if the disk is full.
    """
    with Spool(folder / "source.f32", info.channels) as spool:
        loudness = meter_blocks(
            _looked_over(path, info, spool, cancel), channel_map, info.sample_rate, model_rate
        )
    if spool.samples == 0:
        raise AudioReadError(f"{shown(path)} holds no sound: 0 samples")
    return Intake(spool, loudness)


def _looked_over(
    path: Path, info: AudioInfo, spool: Spool, cancel: CancelToken | None
) -> Iterator[np.ndarray]:
    with closing(ahead(read_blocks(path))) as blocks:
        for block in blocks:
            if cancel is not None:
                cancel.check()
            _look_over(path, info, block, spool.samples)
            spool.append(block)
            yield block


def _look_over(path: Path, info: AudioInfo, block: np.ndarray, before: int) -> None:
    """Refuse a block, which has so many samples before it, that no model can take."""
    if block.shape[0] != info.channels:
        raise AudioReadError(
            f"{shown(path)} changes midway from {info.channels} to {block.shape[0]} channels"
        )
    finite = np.isfinite(block)
    if not finite.all():
        broken = _first_broken(block, finite, before, info.sample_rate)
        raise AudioReadError(f"{shown(path)} {broken}; repair or export it again")


def _first_broken(block: np.ndarray, finite: np.ndarray, before: int, sample_rate: int) -> str:
    at = int(np.argmin(finite.all(axis=0)))
    channel = int(np.argmin(finite[:, at]))
    kind = "NaN" if np.isnan(block[channel, at]) else "Inf"
    position = before + at
    seconds = position / sample_rate
    return f"holds {kind} at {seconds:.3f} s (sample {position}, channel {channel + 1})"
