"""Whole tracks of a dataset, as validation and remixing take them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from unbraid.audio.resample import resampled_length
from unbraid.audio.signal import Signal
from unbraid.data.cache import SampleCache
from unbraid.data.indexed_track import IndexedTrack
from unbraid.data.sound_files import SoundFile, read_whole
from unbraid.shapes import Float32


def read_sources(
    track: IndexedTrack,
    stems: Sequence[str],
    sample_rate: int,
    channels: int,
    cache: SampleCache | None = None,
) -> Float32[Tensor, "s c t"]:
    """All of a track's stems, (stems, channels, samples); a stem that it lacks is silent.

    Raises:
        AudioReadError: if a file is damaged or has changed.
    """
    samples = resampled_length(track.samples, track.sample_rate, sample_rate)
    sources = np.zeros((len(stems), channels, samples), np.float32)
    for source, stem in zip(sources, stems, strict=True):
        if (file := track.stems.get(stem)) is not None:
            source[:] = _whole(file, sample_rate, channels, cache)
    return torch.from_numpy(sources)


def read_mixture(
    track: IndexedTrack, sample_rate: int, channels: int, cache: SampleCache | None = None
) -> Float32[Tensor, "c t"]:
    """All of a track's mixture, (channels, samples): its file, or the sum of all its stems.

    Raises:
        AudioReadError: if a file is damaged or has changed.
    """
    if track.mixture is not None:
        return torch.from_numpy(np.array(_whole(track.mixture, sample_rate, channels, cache)))
    total: Signal | None = None
    for file in track.stems.values():
        signal = _whole(file, sample_rate, channels, cache)
        total = signal if total is None else total + signal
    assert total is not None
    return torch.from_numpy(np.array(total))


def _whole(file: SoundFile, sample_rate: int, channels: int, cache: SampleCache | None) -> Signal:
    if cache is None:
        return read_whole(file, sample_rate, channels)
    samples = resampled_length(file.samples, file.sample_rate, sample_rate)
    return cache.read(file, 0, samples, sample_rate, channels)
