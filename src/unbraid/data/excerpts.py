"""Excerpts of tracks, as a map-style dataset of sources.

Everything random about an item comes from (seed, epoch, its number) alone, so that it is the same
in any process and at any time. Lengths, epoch and normalization follow the public Demucs recipe.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from unbraid.audio.container import shown
from unbraid.audio.resample import resampled_length
from unbraid.data.cache import SampleCache
from unbraid.data.excerpt_places import (
    Cut,
    ExcerptSettings,
    Place,
    Sounds,
    choose_cuts,
    faster,
    least_peak,
)
from unbraid.data.fitness import why_unfit
from unbraid.data.index import TrackIndex
from unbraid.data.indexed_track import IndexedTrack
from unbraid.data.repitch import RepitchSettings, repitch, repitched_samples
from unbraid.data.sound_files import read_stretch
from unbraid.errors import SettingsError
from unbraid.shapes import Float32


class Excerpts(torch.utils.data.Dataset[Tensor]):
    """Excerpts of the tracks of an index; an item is float32 (stems, channels, samples).

    A map-style dataset for `torch.utils.data.DataLoader`: it can be sent to workers, and
    `set_epoch` reaches those that are already running. An item past the end of a track is filled
    up with zeros.

    Args:
        index: the tracks.
        stems: which stems, in the order of the items; of those that the index was built for.
        sample_rate: Hz of the items; files of another rate are resampled.
        channels: of the items; mono is copied, of more channels the first are taken, to mono they
            are averaged.
        settings: which excerpts.
        seed: of everything that is drawn.
        repitch: change of pitch and tempo; None for none. Items are then 12 % shorter.
        cache: where decoded files are kept; None reads the files themselves each time.
    Raises:
        SettingsError: if there are no tracks or a stem is unknown, or if a track is silent that
            has to be normalized.

    Attributes:
        samples: length of every item.
        cut_samples: the same before a change of pitch and tempo.
        tracks: names, roots and more of the tracks, as the index has them.
    """

    def __init__(
        self,
        index: TrackIndex,
        stems: Sequence[str],
        sample_rate: int,
        channels: int,
        settings: ExcerptSettings | None = None,
        seed: int = 0,
        repitch: RepitchSettings | None = None,
        cache: SampleCache | None = None,
    ) -> None:
        self.settings = settings or ExcerptSettings()
        self.stems = tuple(stems)
        self.sample_rate, self.channels = sample_rate, channels
        self.tracks = index.tracks
        self._seed, self._repitch, self._cache = seed, repitch, cache
        self._check(index)
        # Shared, so that workers that live on from epoch to epoch see it change.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]
        self.cut_samples = int(self.settings.excerpt_s * sample_rate)
        if self.cut_samples < 1:
            raise SettingsError(f"excerpts of {self.settings.excerpt_s:g} s hold no sample")
        self.samples = (
            self.cut_samples if repitch is None else repitched_samples(self.cut_samples, repitch)
        )
        counts = [self._grid_count(track) for track in self.tracks]
        self._repeats = _repeats(index, counts)
        self._ends = list(
            accumulate(
                count * self._repeats[track.root]
                for count, track in zip(counts, self.tracks, strict=True)
            )
        )
        self._counts = counts
        self._draws = _draws(index)
        self._order: tuple[tuple[int, int], np.ndarray] | None = None  # made once an epoch
        if repitch is not None:
            repitch.check_backend()

    def set_epoch(self, epoch: int) -> None:
        """Switch to an epoch, here and in running workers."""
        self._epoch.fill_(epoch)

    @property
    def epoch(self) -> int:
        """The epoch that items belong to."""
        return int(self._epoch)

    def __len__(self) -> int:
        return self.settings.per_epoch or self._ends[-1]

    def __getitem__(self, item: int) -> Float32[Tensor, "s c t"]:
        if not -len(self) <= item < len(self):
            raise IndexError(f"item {item} of {len(self)}")
        item %= len(self)
        rng = self._rng(item)
        found = _Found(self)
        cuts, _ = self._cuts(item, found.sounds, rng)
        sources = np.stack([found.played(cut) for cut in cuts])
        if self._repitch is not None:
            sources = repitch(sources, self.stems, self.sample_rate, self._repitch, rng)
        return torch.from_numpy(sources)

    def cuts(self, item: int, sounds: Sounds) -> list[Cut]:
        """Where the stems of an item of this epoch come from."""
        return self._cuts(item, sounds, self._rng(item))[0]

    def place(self, item: int, sounds: Sounds | None = None) -> tuple[str, int]:
        """Which track an item of this epoch comes from, and its first sample there.

        Where stems are looked for (`ExcerptSettings.gathers`), the names of all tracks that were
        looked at, and the first sample in the first.
        """
        _, drawn = self._cuts(item, sounds or _Found(self).sounds, self._rng(item))
        return " + ".join(track.name for track, _ in drawn), drawn[0][1]

    def _rng(self, item: int) -> np.random.Generator:
        return np.random.default_rng((self._seed, self.epoch, item))

    def _cuts(
        self, item: int, sounds: Sounds, rng: np.random.Generator
    ) -> tuple[list[Cut], list[Place]]:
        """Where an item comes from, and all places that were looked at."""
        if not self.settings.gathers:
            track, start = self._place(item, rng)
            return [Cut(track, stem, start) for stem in self.stems], [(track, start)]
        drawn: list[Place] = []

        def draw() -> Place:
            drawn.append(self._draw(rng))
            return drawn[-1]

        return choose_cuts(self.settings, self.stems, draw, sounds, rng), drawn

    def _place(self, item: int, rng: np.random.Generator) -> Place:
        if self.settings.mode == "random":
            return self._draw(rng)
        if self.settings.per_epoch is not None:
            item = self._shuffled(item)
        number = bisect_right(self._ends, item)
        nth = (item - (self._ends[number - 1] if number else 0)) % self._counts[number]
        return self.tracks[number], int(self.sample_rate * self.settings.stride_s * nth)

    def _draw(self, rng: np.random.Generator) -> Place:
        track = self.tracks[bisect_right(self._draws, rng.random() * self._draws[-1])]
        last = resampled_length(track.samples, track.sample_rate, self.sample_rate)
        return track, int(rng.integers(max(0, last - self.cut_samples) + 1))

    def _shuffled(self, item: int) -> int:
        """Place on the grid of one of `per_epoch` items: no place twice before all have come."""
        turn, item = divmod(item, self._ends[-1])
        of = self.epoch, turn
        if self._order is None or self._order[0] != of:
            rng = np.random.default_rng((self._seed, *of, 1 << 32))
            self._order = of, rng.permutation(self._ends[-1])
        return int(self._order[1][item])

    def read(self, cut: Cut) -> Float32[np.ndarray, "c t"]:
        """What a cut is made of, at its own speed."""
        track, stem, start = cut.track, cut.stem, cut.start
        samples = cut.needed(self.cut_samples)
        source = np.zeros((self.channels, samples), np.float32)
        wanted = start, samples, self.sample_rate, self.channels
        file = track.stems.get(stem)
        if file is None:  # known to be silent
            signal = np.zeros((self.channels, 0), np.float32)
        elif self._cache is not None:
            signal = self._cache.read(file, *wanted)
        else:
            signal = read_stretch(file, *wanted)
        there = signal.shape[1]
        source[:, :there] = signal
        if self.settings.normalize:
            inside = min(samples, max(there, self.track_samples(track) - start))
            source[:, :inside] -= np.float32(track.mean)
            source[:, :inside] /= np.float32(track.std)
        return source

    @property
    def repitched(self) -> bool:
        """Whether pitch and tempo change."""
        return self._repitch is not None

    def track_samples(self, track: IndexedTrack) -> int:
        """Length of a track at the items' rate."""
        return resampled_length(track.samples, track.sample_rate, self.sample_rate)

    def _grid_count(self, track: IndexedTrack) -> int:
        settings = self.settings
        # Whole samples first: 12 s of 1 s more than 11 s must not become 3 by a rounding error.
        beyond = (track.duration_s - settings.excerpt_s) / settings.stride_s
        return 1 if track.duration_s < settings.excerpt_s else math.ceil(beyond - 1e-9) + 1

    def _check(self, index: TrackIndex) -> None:
        if not index.tracks:
            raise SettingsError("an index without tracks has no excerpts")
        unknown = [stem for stem in self.stems if stem not in index.stems]
        if unknown or not self.stems:
            raise SettingsError(
                f"the index knows the stems {', '.join(index.stems)}; got {', '.join(unknown)}"
            )
        for track in index.tracks:
            problem = why_unfit(track.samples, track.std) if self.settings.normalize else None
            if problem is not None:
                raise SettingsError(
                    f"{shown(track.folder)} cannot be trained on: {problem}; take the track out of "
                    "the dataset"
                )


class _Found:
    """Reads cuts, and of each stem remembers the last: what was looked at is what is taken."""

    def __init__(self, excerpts: Excerpts) -> None:
        self._excerpts = excerpts
        self._last: dict[str, tuple[Cut, np.ndarray]] = {}

    def sounds(self, cut: Cut) -> bool:
        loudest = np.abs(self._read(cut)[:, ::16]).max(initial=0.0)
        return bool(loudest > least_peak(self._excerpts.settings))

    def played(self, cut: Cut) -> Float32[np.ndarray, "c t"]:
        signal = self._read(cut)
        return signal if cut.speed == 1 else faster(signal, cut.speed, self._excerpts.cut_samples)

    def _read(self, cut: Cut) -> Float32[np.ndarray, "c t"]:
        if cut.stem not in self._last or self._last[cut.stem][0] is not cut:
            self._last[cut.stem] = cut, self._excerpts.read(cut)
        return self._last[cut.stem][1]


def _repeats(index: TrackIndex, counts: Sequence[int]) -> list[int]:
    """How often each root is gone through in an epoch, so that its share is about its weight.

    With two roots of b and e examples and weights (1 - w, w) the first is repeated round(e/b *
    (1/w - 1)) times, if that is more than once, as in the public Demucs recipe; else the second is.
    """
    if index.weights is None:
        return [1] * len(index.roots)
    sizes = [0] * len(index.roots)
    for track, count in zip(index.tracks, counts, strict=True):
        sizes[track.root] += count
    most = max(size / weight for size, weight in zip(sizes, index.weights, strict=True))
    return [
        max(1, round(weight * most / size)) if size else 1
        for size, weight in zip(sizes, index.weights, strict=True)
    ]


def _draws(index: TrackIndex) -> list[float]:
    """Ends of the tracks' intervals for a random draw: longer tracks have wider ones."""
    lengths = [0.0] * len(index.roots)
    for track in index.tracks:
        lengths[track.root] += track.duration_s
    weights = index.weights or lengths
    shares = (
        track.duration_s / lengths[track.root] * weights[track.root] for track in index.tracks
    )
    return list(accumulate(shares))
