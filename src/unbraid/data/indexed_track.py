"""A track of a dataset that was looked at, and its mixture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unbraid.data.sound_files import SoundFile, blocks_of, with_channels


@dataclass(frozen=True)
class IndexedTrack:
    """A track that was looked at.

    Attributes:
        name: path below its split, with slashes.
        folder: where it is.
        root: which of the index's roots it belongs to.
        stems: name to file, sorted by name; all that the folder has.
        mixture: its file, if there is one; else the mixture is the sum of all stems.
        samples: length at `sample_rate`; that of every file.
        sample_rate: Hz; that of every file.
        channels: of its widest file.
        mean, std: of the mono mixture (mean over channels) over the whole track; unbiased.
        loudness_lufs: of the mixture, BS.1770-4; -inf for silence.
    """

    name: str
    folder: Path
    root: int
    stems: dict[str, SoundFile]
    mixture: SoundFile | None
    samples: int
    sample_rate: int
    channels: int
    mean: float
    std: float
    loudness_lufs: float

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.samples / self.sample_rate


def files(track: IndexedTrack) -> list[SoundFile]:
    """All files of a track: its stems, and its mixture if it has one."""
    return [*track.stems.values(), *([track.mixture] if track.mixture else [])]


def mixture_blocks(track: IndexedTrack, block_samples: int = 1 << 18) -> Iterator[np.ndarray]:
    """The mixture of a track in blocks (channels, samples), at its own rate: its file, or the sum.

    Raises:
        AudioReadError: if a file does not decode.
    """
    if track.mixture is not None:
        yield from blocks_of(track.mixture, block_samples)
        return
    readers = [blocks_of(file, block_samples) for file in track.stems.values()]
    for blocks in zip(*readers, strict=True):
        total = np.zeros((track.channels, blocks[0].shape[1]), np.float32)
        for block in blocks:
            total += with_channels(block, track.channels)
        yield total
