"""The tracks of one or several datasets, looked at once: lengths, rates, levels.

Whatever would stop a training later is found here: stems that are missing, of unequal length or
rate, files that do not decode. What was found is kept in `index/` of the cache folder, and looked
at again only for tracks whose files have a new size or modification time.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unbraid.audio.container import shown
from unbraid.audio.loudness import LoudnessMeter
from unbraid.data.fitness import MonoLevels
from unbraid.data.indexed_track import IndexedTrack, files, mixture_blocks
from unbraid.data.kept_index import KeptIndex
from unbraid.data.sound_files import SoundFile
from unbraid.data.tracks import Track, dataset_tracks, part_name
from unbraid.errors import AudioReadError, SettingsError
from unbraid.words import counted

Missing = Literal["error", "silence"]
OnTrack = Callable[[int, int], None]
"""Called with how many tracks are done, and of how many."""

_WORKERS = 8
_SAVE_EVERY = 100


@dataclass(frozen=True)
class TrackIndex:
    """The tracks of one split of some datasets, known to be fit for training.

    Attributes:
        split: "train", "valid" or "test".
        roots: the datasets.
        weights: the share of examples for each root; None takes every
            example of every root once.
        stems: names, in the order in which items have them.
        tracks: sorted by root and name.
    """

    split: str
    roots: tuple[Path, ...]
    weights: tuple[float, ...] | None
    stems: tuple[str, ...]
    tracks: tuple[IndexedTrack, ...]

    @property
    def duration_s(self) -> float:
        """Length of all tracks, in seconds."""
        return sum(track.duration_s for track in self.tracks)

    def sample(self, count: int, seed: int = 42) -> TrackIndex:
        """`count` tracks, drawn with `seed`; all tracks if there are fewer."""
        if count < 1:
            raise SettingsError(f"a part of an index has at least 1 track, got {count}")
        drawn = random.Random(seed).sample(range(len(self.tracks)), min(count, len(self.tracks)))
        chosen = tuple(self.tracks[i] for i in sorted(drawn))
        return dataclasses.replace(self, tracks=chosen)

    def fingerprint(self) -> str:
        """Eight characters that change whenever a track, a file of one or the order changes.

        Where the datasets lie makes no difference.
        """
        parts = [
            [track.root, track.name, file.path.name, file.size, file.mtime_ns]
            for track in self.tracks
            for file in files(track)
        ]
        text = json.dumps([self.split, self.stems, self.weights, parts])
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def build_index(
    roots: Sequence[str | os.PathLike[str]],
    split: str,
    stems: Sequence[str] | None,
    *,
    weights: Sequence[float] | None = None,
    missing: Missing = "error",
    workers: int | None = None,
    on_track: OnTrack | None = None,
) -> TrackIndex:
    """Look at all tracks of a split, and make sure that they can be trained on.

    Args:
        roots: datasets, ROOT/{train,valid,test}/TRACK/STEM.SUFFIX. For "valid" and "test" it is
            enough that one of them has the split.
        split: "train", "valid" or "test".
        stems: which, in order; other files are left alone, unless they make up the mixture. None
            takes what every track has, sorted, "error" then meaning that all have the same.
        weights: the share of examples for each root; they need not sum to 1.
        missing: whether a stem that a track lacks is an error or silence.
        workers: tracks to read at once (8, at most the number of cores).
        on_track: called with each finished track.
    Raises:
        SettingsError: if a root, a split or a stem is missing, or files of one track differ in
            length or rate; with the file's name.
        AudioReadError: if a file does not decode.
    """
    tops = [Path(root).absolute() for root in roots]
    _check_roots(tops, weights)
    found = _all_tracks(tops, split)
    wanted = _wanted(found, stems, missing)
    kept = [KeptIndex(top, split) for top in tops]
    done: list[IndexedTrack] = []
    count = workers or min(_WORKERS, os.cpu_count() or 1)
    with ThreadPoolExecutor(count) as pool:
        jobs = [
            pool.submit(_index_track, track, root, wanted, missing, kept[root])
            for root, track in found
        ]
        try:
            for job in jobs:
                done.append(job.result())
                if on_track is not None:
                    on_track(len(done), len(found))
                if len(done) % _SAVE_EVERY == 0:
                    _save(kept, done)
        finally:
            for job in jobs:
                job.cancel()
            _save(kept, done)
    return TrackIndex(
        split, tuple(tops), None if weights is None else tuple(weights), wanted, tuple(done)
    )


def _save(kept: Sequence[KeptIndex], done: Sequence[IndexedTrack]) -> None:
    for root, store in enumerate(kept):
        store.save([track for track in done if track.root == root])


def _check_roots(roots: Sequence[Path], weights: Sequence[float] | None) -> None:
    if not roots:
        raise SettingsError("give at least one dataset, ROOT/{train,valid,test}/TRACK/STEM.wav")
    if len(set(roots)) < len(roots):
        raise SettingsError(f"the same dataset is given twice: {', '.join(map(str, roots))}")
    if weights is None:
        return
    if len(weights) != len(roots):
        raise SettingsError(
            f"give one weight for each dataset, or none: {counted(len(roots), 'dataset')}, "
            f"{counted(len(weights), 'weight')}"
        )
    if not all(math.isfinite(weight) and weight > 0 for weight in weights):
        raise SettingsError(f"weights of datasets are above 0, got {list(weights)}")


def _all_tracks(roots: Sequence[Path], split: str) -> list[tuple[int, Track]]:
    """Tracks with the number of their root."""
    found: list[tuple[int, Track]] = []
    lacking: SettingsError | None = None
    for number, root in enumerate(roots):
        try:
            found += [(number, track) for track in dataset_tracks(root, split)]
        except SettingsError as error:
            if split == "train" or not root.is_dir():
                raise
            lacking = error
    if not found and lacking is not None:
        raise lacking
    for _, track in found:
        if track.problem is not None:
            raise SettingsError(f"{shown(track.folder)}: {track.problem}")
    return found


def _wanted(
    found: Sequence[tuple[int, Track]], stems: Sequence[str] | None, missing: Missing
) -> tuple[str, ...]:
    if stems is None:
        stems = sorted({name for _, track in found for name in track.stems})
        if not stems:
            raise SettingsError(f"{shown(found[0][1].folder)} and all others hold no stems")
    if not stems or len(set(map(part_name, stems))) < len(stems):
        raise SettingsError(f"give each stem once, and at least one, got {list(stems)}")
    for _, track in found:
        lacking = [name for name in stems if part_name(name) not in track.stems]
        if len(lacking) == len(stems) or (lacking and missing == "error"):
            there = ", ".join(track.stems) or "none"
            raise SettingsError(
                f"{shown(track.folder)} has no file of {', '.join(lacking)}; its stems are {there}"
            )
    return tuple(stems)


def _index_track(
    track: Track, root: int, wanted: Sequence[str], missing: Missing, kept: KeptIndex
) -> IndexedTrack:
    # Without a file of the mixture every stem counts, since the mixture is their sum.
    spelled = {part_name(name): name for name in wanted}
    names = [name for name in track.stems if track.mixture is None or name in spelled]
    stems = {spelled.get(name, name): kept.file(track.stems[name]) for name in names}
    mixture = None if track.mixture is None else kept.file(track.mixture)
    first, *others = [*([mixture] if mixture else []), *stems.values()]
    for other in others:
        _check_alike(first, other)
    bare = IndexedTrack(
        *(track.name, track.folder, root, stems, mixture),
        samples=first.samples,
        sample_rate=first.sample_rate,
        channels=max(file.channels for file in (first, *others)),
        mean=0.0,
        std=0.0,
        loudness_lufs=-math.inf,
    )
    mean, std, loudness_lufs = kept.levels(bare) or _levels(bare)
    return dataclasses.replace(bare, mean=mean, std=std, loudness_lufs=loudness_lufs)


def _check_alike(first: SoundFile, other: SoundFile) -> None:
    here, there = shown(other.path), first.path.name
    if other.sample_rate != first.sample_rate:
        raise SettingsError(
            f"{here} has {other.sample_rate} Hz, {there!r} next to it {first.sample_rate} Hz; "
            "the files of a track need the same sample rate"
        )
    if other.samples != first.samples:
        raise SettingsError(
            f"{here} has {other.samples} samples, {there!r} next to it {first.samples}; "
            "the files of a track need the same length"
        )


def _levels(track: IndexedTrack) -> tuple[float, float, float]:
    """Mean and unbiased deviation of the mono mixture, and loudness of the mixture."""
    mono = MonoLevels()
    meter: LoudnessMeter | None = None
    for block in mixture_blocks(track):
        mono.push(block)
        if not mono.is_finite:
            source = track.mixture.path if track.mixture else track.folder
            raise AudioReadError(f"{shown(source)} holds samples that are not finite numbers")
        meter = meter or LoudnessMeter(track.sample_rate, block.shape[0])
        meter.push(block)
    return mono.mean, mono.std, meter.loudness_lufs() if meter else -math.inf
