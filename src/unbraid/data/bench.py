"""How fast a dataset is read: excerpts a second, from the files themselves and from the cache."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from unbraid.data.cache import SampleCache
from unbraid.data.excerpt_places import ExcerptSettings
from unbraid.data.excerpts import Excerpts
from unbraid.data.index import TrackIndex
from unbraid.data.repitch import RepitchSettings
from unbraid.scratch import temporary


@dataclass(frozen=True)
class LoaderSpeed:
    """One way of reading, measured.

    Attributes:
        name: of the way.
        items: excerpts that were read.
        seconds: in which they were.
        excerpt_s: length of each.
    """

    name: str
    items: int
    seconds: float
    excerpt_s: float

    @property
    def items_per_s(self) -> float:
        """Excerpts a second, each with all its stems."""
        return self.items / self.seconds

    @property
    def audio_per_s(self) -> float:
        """Seconds of audio a second, counting a song once, however many stems it has."""
        return self.items_per_s * self.excerpt_s


def measure_loader(
    index: TrackIndex,
    *,
    sample_rate: int = 44100,
    channels: int = 2,
    excerpt_s: float = 11.0,
    batch: int = 4,
    workers: int = 0,
    seconds: float = 10.0,
    repitch: bool = False,
    folder: str | os.PathLike[str] | None = None,
) -> Iterator[LoaderSpeed]:
    """Read random excerpts as training does, in several ways, one after the other.

    Args:
        index: the tracks.
        sample_rate, channels: of the excerpts.
        excerpt_s: their length.
        batch: excerpts in a batch.
        workers: processes that read; 0 reads in this one.
        seconds: how long each way is measured, once it runs.
        repitch: also measure with the recipe's change of pitch and tempo.
        folder: where the cache for this is made (a temporary folder); it is removed again.
    Returns:
        speeds: from the files; from the cache, when all is in it; likewise with repitch.
    """
    settings = ExcerptSettings(excerpt_s, 1.0, mode="random", per_epoch=1_000_000)

    def loader(cache: SampleCache | None, change: RepitchSettings | None) -> Any:
        items = Excerpts(
            index, index.stems, sample_rate, channels, settings, repitch=change, cache=cache
        )
        return torch.utils.data.DataLoader(items, batch_size=batch, num_workers=workers)

    yield _measured("files", loader(None, None), batch, seconds, excerpt_s)
    with temporary(folder) as scratch:
        cache = SampleCache(scratch.folder)
        for track in index.tracks:
            for stem in index.stems:
                if stem in track.stems:
                    cache.read(track.stems[stem], 0, 1, sample_rate, channels)
        yield _measured("cache", loader(cache, None), batch, seconds, excerpt_s)
        if repitch:
            changed = loader(cache, RepitchSettings())
            yield _measured("cache, repitch", changed, batch, seconds, excerpt_s)


def _measured(name: str, loader: Any, batch: int, seconds: float, excerpt_s: float) -> LoaderSpeed:
    batches = iter(loader)
    next(batches)  # workers have started, files have been opened
    items, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        next(batches)
        items += batch
    return LoaderSpeed(name, items, passed, excerpt_s)
