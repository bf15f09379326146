"""Writing datasets: the request, tracks written whole or not at all, parallel processes.

A dataset that is made has a manifest, a JSON file with the request that it was begun with; it is
resumed only by the same request. A track's folder appears when it is whole.
"""

from __future__ import annotations

import glob
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from unbraid.atomic import fsync_tree, is_leftover, make_folder, rename_all, write_text
from unbraid.audio.write import AudioFormat, AudioWriter
from unbraid.errors import AudioWriteError, SettingsError, UnbraidError
from unbraid.pool import abandon, new_pool

FACTS = "track.json"
"""The description in each track of a generated dataset."""

TrackFormat = Literal["flac", "wav"]

_BITS = 16


@dataclass(frozen=True)
class TrackDone:
    """A track that is there.

    Attributes:
        track: its place below OUT, such as "train/song-003".
        made: False if it had been made before.
        facts: what its track.json says.
    """

    track: str
    made: bool
    facts: dict[str, Any]


OnTrack = Callable[[TrackDone, int, int], None]
"""Called with a track, how many are there now, and how many there will be."""

_Job = TypeVar("_Job")
_Made = TypeVar("_Made")


def begin(out: Path, manifest: str, content: dict[str, Any]) -> None:
    """Make the folder of a dataset with its manifest, or see that it was begun with the same.

    Args:
        out: new, empty, or begun before.
        manifest: name of the JSON file.
        content: has "request" and more, as JSON has it.
    Raises:
        SettingsError: if `out` holds something else, or was begun with another request.
        AudioWriteError: if it cannot be written.
    """
    path = out / manifest
    try:
        old = json.loads(path.read_text(encoding="utf-8"))
        there = {name: old.get(name) for name in content}
    except FileNotFoundError:
        if out.exists() and not (out.is_dir() and all(map(is_leftover, out.iterdir()))):
            raise SettingsError(
                f"{str(out)!r} is there and was not begun by this command; give a new folder"
            ) from None
        there = None
    except (OSError, ValueError, AttributeError) as error:
        raise SettingsError(f"{str(path)!r} cannot be read: {error}") from error
    if there is not None and there != content:
        before = there["request"] if isinstance(there["request"], dict) else {}
        other = [n for n, value in content["request"].items() if before.get(n) != value]
        other = other or [name for name in content if there[name] != content[name]]
        raise SettingsError(
            f"{str(out)!r} was begun with other {', '.join(other)}; "
            "give the same, or another folder"
        )
    try:
        make_folder(out)
        if there is None:
            write_text(path, json.dumps(content, indent=1) + "\n")
        make_folder(out / "train")
    except OSError as error:
        raise AudioWriteError(f"{str(out)!r} cannot be written: {error.strerror}") from error


def finish(out: Path, manifest: str, content: dict[str, Any]) -> None:
    """Write the manifest with what is known at the end.

    Raises:
        AudioWriteError: if it cannot be written.
    """
    try:
        write_text(out / manifest, json.dumps(content, indent=1) + "\n")
    except OSError as error:
        raise AudioWriteError(f"{str(out)!r} cannot be written: {error.strerror}") from error


def check_request(what: str, seed: int, format: str) -> None:
    """What every request for tracks has: a seed, and the format that `what` are written in.

    Raises:
        SettingsError: if one of them is none.
    """
    if seed < 0:
        raise SettingsError(f"a seed is a number from 0 on, got {seed}")
    if format not in ("flac", "wav"):
        raise SettingsError(f"{what} are written as flac or wav, got {format!r}")


def make_tracks(
    out: Path,
    jobs: Iterable[_Job],
    track_of: Callable[[_Job], str],
    make: Callable[[_Job], dict[str, Any]],
    workers: int,
) -> Iterator[TrackDone]:
    """The tracks that exist already, then the others as they are made.

    Args:
        track_of: place of a job's track below `out`.
        make: makes the track of a job, and gives what its track.json says.
    Raises:
        UnbraidError: what a job raised, or that a process was ended.
    """
    waiting = []
    for job in jobs:
        facts = read_facts(out / track_of(job))
        if facts is not None:
            yield TrackDone(track_of(job), False, facts)
        else:
            waiting.append(job)
    for job, made in run_jobs(waiting, make, workers):
        yield TrackDone(track_of(job), True, made)


def run_jobs(
    jobs: Sequence[_Job], make: Callable[[_Job], _Made], workers: int
) -> Iterator[tuple[_Job, _Made]]:
    """Finished jobs with their results; in this process if there is one worker.

    Raises:
        UnbraidError: what a job raised, or that a process was ended.
    """
    if workers <= 1 or len(jobs) <= 1:
        for job in jobs:
            yield job, make(job)
        return
    pool = new_pool(min(workers, len(jobs)))
    try:
        waiting = {pool.submit(make, job): job for job in jobs}
        for future in as_completed(waiting):
            yield waiting[future], future.result()
    except BrokenProcessPool as error:
        raise UnbraidError(
            "a process was ended from outside, perhaps for want of memory; "
            "start again, with fewer workers: what is done is kept"
        ) from error
    except (KeyboardInterrupt, GeneratorExit):
        abandon(pool)
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def write_track(
    folder: Path,
    stems: Mapping[str, np.ndarray],
    sample_rate: int,
    facts: dict[str, Any],
    format: TrackFormat = "flac",
) -> dict[str, Any]:
    """Write the stems of a track and its track.json; the folder appears when all is there.

    Of two runs that make the same track the first counts.

    Args:
        folder: of the track, not there yet.
        stems: (channels, samples), all alike, within full scale; written with 16 bits.
        sample_rate: Hz.
        facts: what else track.json should contain.
    Returns:
        what track.json says: the facts, the length, and levels in dB.
    Raises:
        AudioWriteError: if the disk is full or cannot be written.
    """
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    channels, samples = next(iter(stems.values())).shape
    facts = {**facts, "samples": samples, "sample_rate": sample_rate, "rms_db": {}, "silent": []}
    try:
        make_folder(folder.parent)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        for stem, signal in stems.items():
            integers = np.clip(np.rint(signal * np.float32(2**15)), -(2**15), 2**15 - 1)
            path = part / f"{stem}.{format}"
            with AudioWriter(path, AudioFormat(format, str(_BITS)), sample_rate, channels) as file:
                file.write(np.ascontiguousarray(integers.astype(np.int32)))
            power = float(np.mean(np.square(integers / 2**15)))
            if power > 0:
                facts["rms_db"][stem] = round(10 * float(np.log10(power)), 1)
            else:
                facts["silent"].append(stem)
        (part / FACTS).write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
        fsync_tree(part)
        rename_all({part: folder})
    except (OSError, AudioWriteError) as error:
        there = read_facts(folder)
        if there is not None:  # another run on the same set was first, and removed this part
            return there
        if isinstance(error, AudioWriteError):
            raise
        raise AudioWriteError(f"{str(folder)!r} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    for left in folder.parent.glob(f".{glob.escape(folder.name)}.*part"):  # by a run that died
        shutil.rmtree(left, ignore_errors=True)
    return facts


def read_facts(folder: Path) -> dict[str, Any] | None:
    """What track.json says, if the track is there."""
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        return facts if isinstance(facts, dict) else None
    except (OSError, ValueError):
        return None
