"""What a dataset holds, and what may be wrong with it: levels, silence, clipping, likeness.

Unlike `build_index`, which stops at the first file that cannot be trained on, this looks at every
track and says all that it finds. What both refuse is judged in `unbraid.data.fitness`.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.audio.files import probe, read_blocks
from unbraid.data.fitness import MonoLevels, why_unfit
from unbraid.data.part_check import PartCheck, PartMeter
from unbraid.data.sound_files import with_channels
from unbraid.data.tracks import SPLITS, Track, dataset_tracks
from unbraid.errors import SettingsError, UnbraidError
from unbraid.words import counted

MIXTURE = "mixture"
_BLOCK_SAMPLES = 1 << 18
_WORKERS = 4

# What is worth a line: shares of time, samples, correlations, dB.
_MANY_CLIPPED, _ALIKE, _SUM_DB, _OFFSET, _QUIET_LUFS = 20, 0.5, -50.0, 0.003, -45.0

OnTrack = Callable[["TrackCheck", int, int], None]
"""Called with a track, how many are done and of how many."""


@dataclass(frozen=True)
class TrackCheck:
    """What a track holds.

    Attributes:
        split, name: which track it is.
        samples, sample_rate, channels: of its files; 0 if they could not be read.
        stems: by name.
        mixture: its file, or the sum of the stems.
        correlations: of two stems, "bass/vocals" to their correlation, over all samples.
        sum_error_db: level of mixture file minus sum of stems, relative to the mixture; None
            without such a file.
        problem: why it cannot be trained on.
        notes: what one may want to know.
    """

    split: str
    name: str
    samples: int = 0
    sample_rate: int = 0
    channels: int = 0
    stems: dict[str, PartCheck] = field(default_factory=dict)
    mixture: PartCheck | None = None
    correlations: dict[str, float] = field(default_factory=dict)
    sum_error_db: float | None = None
    problem: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.samples / self.sample_rate if self.sample_rate else 0.0


@dataclass(frozen=True)
class DatasetCheck:
    """What a dataset holds.

    Attributes:
        root: where it is.
        tracks: by split and name.
        notes: about all of it.
    """

    root: Path
    tracks: tuple[TrackCheck, ...]
    notes: tuple[str, ...]

    @property
    def problems(self) -> int:
        """How many tracks cannot be trained on."""
        return sum(track.problem is not None for track in self.tracks)

    @property
    def stems(self) -> tuple[str, ...]:
        """All names of stems, the usual four first."""
        found = {name for track in self.tracks for name in track.stems}
        usual = [name for name in ("drums", "bass", "other", "vocals") if name in found]
        return (*usual, *sorted(found - set(usual)))

    def plain(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        tracks = []
        for track in self.tracks:
            entry = asdict(track)
            entry["duration_s"] = track.duration_s
            entry["notes"] = list(track.notes)
            for part in (*entry["stems"].values(), *filter(None, [entry["mixture"]])):
                part["levels_db"] = [round(level, 1) for level in part["levels_db"]]
            tracks.append(entry)
        return {"root": str(self.root), "tracks": tracks, "notes": list(self.notes)}


def check_dataset(
    root: str | os.PathLike[str],
    splits: Sequence[str] | None = None,
    *,
    workers: int | None = None,
    on_track: OnTrack | None = None,
) -> DatasetCheck:
    """Look at all tracks of a dataset, from end to end.

    Args:
        root: ROOT/{train,valid,test}/TRACK/STEM.SUFFIX.
        splits: which; None takes all that there are.
        workers: tracks at once (4, at most the number of cores).
        on_track: called for each track.
    Raises:
        SettingsError: if there is no dataset at `root`, or it lacks a requested split.
    """
    tracks = [(split, track) for split, of in _splits(Path(root), splits) for track in of]
    done: list[TrackCheck] = []
    with ThreadPoolExecutor(workers or min(_WORKERS, os.cpu_count() or 1)) as pool:
        jobs = [pool.submit(check_track, track, split) for split, track in tracks]
        try:
            for job in jobs:
                done.append(job.result())
                if on_track is not None:
                    on_track(done[-1], len(done), len(tracks))
        finally:
            for job in jobs:
                job.cancel()
    return DatasetCheck(Path(root), tuple(done), tuple(_notes_of_all(done)))


def check_track(track: Track, split: str) -> TrackCheck:
    """Look at one track; whatever is wrong with it is its `problem`."""
    if track.problem is not None:
        return TrackCheck(split, track.name, problem=track.problem)
    if not track.stems:
        return TrackCheck(split, track.name, problem="there are no stems with the mixture")
    try:
        return _looked_at(track, split)
    except UnbraidError as error:
        return TrackCheck(split, track.name, problem=str(error))


def _looked_at(track: Track, split: str) -> TrackCheck:
    files = {**track.stems, **({MIXTURE: track.mixture} if track.mixture else {})}
    infos = {name: probe(path) for name, path in files.items()}
    rates = {info.sample_rate for info in infos.values()}
    if len(rates) > 1:
        named = ", ".join(f"{files[name].name} {i.sample_rate} Hz" for name, i in infos.items())
        raise SettingsError(f"sample rates differ: {named}")
    sample_rate, channels = rates.pop(), max(info.channels for info in infos.values())
    meters = {name: PartMeter(sample_rate, channels) for name in (*track.stems, MIXTURE)}
    pairs = list(itertools.combinations(track.stems, 2))
    products = dict.fromkeys(pairs, 0.0)
    mono = MonoLevels()
    lengths = dict.fromkeys(files, 0)
    error_power = 0.0
    for blocks in _in_step(files):
        for name, block in blocks.items():
            lengths[name] += block.shape[1]
        if len({block.shape[1] for block in blocks.values()} | {0}) > 2 or len(blocks) < len(files):
            continue  # continues only to find the length of each file
        wide = {name: with_channels(block, channels) for name, block in blocks.items()}
        total = sum((wide[name] for name in track.stems), np.zeros_like(next(iter(wide.values()))))
        if track.mixture:
            error_power += float(np.square(wide[MIXTURE] - total, dtype=np.float64).sum())
        for name in track.stems:
            meters[name].push(wide[name])
        mixture = wide.get(MIXTURE, total)
        mono.push(mixture)
        meters[MIXTURE].push(mixture)
        for one, two in pairs:
            products[one, two] += float(np.vdot(wide[one], wide[two]))
    if len(set(lengths.values())) > 1:
        named = ", ".join(f"{files[name].name} {count}" for name, count in lengths.items())
        raise SettingsError(f"lengths differ, in samples: {named}")
    parts = {name: meter.finish() for name, meter in meters.items()}
    powers = {name: meter.power for name, meter in meters.items()}
    if not all(map(math.isfinite, powers.values())):
        bad = next(name for name, power in powers.items() if not math.isfinite(power))
        raise SettingsError(f"{bad} holds samples that are not finite numbers")
    correlations = {
        f"{one}/{two}": product / math.sqrt(powers[one] * powers[two])
        for (one, two), product in products.items()
        if powers[one] > 0 and powers[two] > 0
    }
    found = TrackCheck(
        *(split, track.name, next(iter(lengths.values())), sample_rate, channels),
        stems={name: parts[name] for name in track.stems},
        mixture=parts[MIXTURE],
        correlations=correlations,
        sum_error_db=_relative_db(error_power, powers[MIXTURE]) if track.mixture else None,
        problem=why_unfit(mono.samples, mono.std),
    )
    return TrackCheck(**{**vars(found), "notes": tuple(_notes(found))})


def _in_step(files: Mapping[str, Path]) -> Iterator[dict[str, np.ndarray]]:
    """Blocks of all files that still have some, at the same time."""
    readers = {name: read_blocks(path, _BLOCK_SAMPLES) for name, path in files.items()}
    while True:
        blocks = {
            name: block for name, r in readers.items() if (block := next(r, None)) is not None
        }
        if not blocks:
            return
        yield blocks


def _relative_db(power: float, of: float) -> float:
    return max(-200.0, 10 * math.log10(max(power, 1e-30) / max(of, 1e-30)))


def _notes(track: TrackCheck) -> Iterator[str]:
    """What one may want to know about a track."""
    assert track.mixture is not None
    for name, part in track.stems.items():
        if part.rms_db is None:
            yield f"{name} is silent throughout"
        elif part.loudness_lufs is None or part.loudness_lufs < _QUIET_LUFS:
            yield f"{name} is very quiet"
        if part.clipped > _MANY_CLIPPED:
            yield f"{name} is clipped: {part.clipped} samples at full scale"
        if abs(part.offset) > _OFFSET:
            yield f"{name} has an offset of {part.offset:+.3f}"
    if track.mixture.clipped > _MANY_CLIPPED and track.sum_error_db is not None:
        yield f"the mixture is clipped: {track.mixture.clipped} samples at full scale"
    for pair, value in track.correlations.items():
        if abs(value) > _ALIKE:
            one, two = pair.split("/")
            yield f"{one} and {two} are alike: correlation {value:.2f}"
    if track.sum_error_db is not None and track.sum_error_db > _SUM_DB:
        yield f"the mixture is not the sum of the stems: {track.sum_error_db:.0f} dB are left"


def _notes_of_all(tracks: Sequence[TrackCheck]) -> Iterator[str]:
    whole = [track for track in tracks if track.problem is None]
    rates = sorted({track.sample_rate for track in whole})
    if len(rates) > 1:
        named = ", ".join(map(str, rates))
        yield f"tracks have {named} Hz: all but one rate are resampled when they are read"
    stems = {name for track in whole for name in track.stems}
    for name in sorted(stems):
        lacking = sum(name not in track.stems for track in whole)
        if lacking:
            yield (
                f"without {name}: {lacking} of {counted(len(whole), 'track')}; a recipe that "
                'trains it needs data.missing = "silence"'
            )
    seen: dict[str, str] = {}
    for track in whole:
        other = seen.setdefault(track.name, track.split)
        if other != track.split:
            yield f"{track.name} is in {other} and in {track.split}"


def _splits(root: Path, wanted: Sequence[str] | None) -> Iterator[tuple[str, list[Track]]]:
    if wanted is not None:
        for split in wanted:
            yield split, dataset_tracks(root, split)
        return
    found = False
    for split in SPLITS:
        if (root / split).is_dir() or (split == "valid" and (root / "train").is_dir()):
            try:
                yield split, dataset_tracks(root, split)
                found = True
            except SettingsError:
                if (root / split).is_dir():
                    raise
    if not found:
        dataset_tracks(root, "train")  # says what is not there
