"""A folder dataset of made-up songs: OUT/{train,valid}/TRACK/{drums,bass,other,vocals}.flac

Every song comes from its own seed, so any number of processes make the same bytes. A track's folder
appears only when it is whole; what is there is not made again.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from unbraid.atomic import fsync_file, write_text
from unbraid.audio.write import AudioFormat, AudioWriter
from unbraid.data.songs.effects import RATE
from unbraid.data.songs.ingredients import Ingredients, Side
from unbraid.data.songs.multitracks import Multitrack, find_multitracks, multitrack_stems
from unbraid.data.songs.song import STEMS, SongSettings, make_song
from unbraid.errors import AudioWriteError, SettingsError, UnbraidError

MANIFEST = "songs.json"
OnSong = Callable[["SongDone", int, int], None]
"""Called with a song, how many are done and of how many."""

_BITS = 16


@dataclass(frozen=True)
class SongsRequest:
    """What to make.

    Attributes:
        songs: made-up songs, in both splits together.
        valid: how many of them for validation, from speakers and takes of their own.
        seed: of all.
        seconds: least and greatest length of a song.
        format: "flac" or "wav", both with 16 bits.
        recorded: whether recorded songs among the ingredients become tracks too.
    Raises:
        SettingsError: if there is nothing to make.
    """

    songs: int = 20
    valid: int = 2
    seed: int = 0
    seconds: tuple[float, float] = (60.0, 85.0)
    format: Literal["flac", "wav"] = "flac"
    recorded: bool = True

    def __post_init__(self) -> None:
        if self.songs < 1:
            raise SettingsError(f"there is at least 1 song to make, got {self.songs}")
        if not 0 <= self.valid < self.songs:
            raise SettingsError(
                f"of {self.songs} songs 0 to {self.songs - 1} are for validation, got {self.valid}"
            )
        if self.seed < 0:
            raise SettingsError(f"a seed is a number from 0 on, got {self.seed}")
        if self.format not in ("flac", "wav"):
            raise SettingsError(f"songs are written as flac or wav, got {self.format!r}")
        SongSettings(self.seconds)


@dataclass(frozen=True)
class SongDone:
    """A track that is there.

    Attributes:
        track: its place below OUT, such as "train/song-003".
        made: False if it had been made before.
        facts: what its track.json says.
    """

    track: str
    made: bool
    facts: dict[str, Any]


@dataclass(frozen=True)
class _Job:
    out: Path
    track: str
    request: SongsRequest
    ingredients: Ingredients
    settings: SongSettings
    number: int = 0
    multitrack: Multitrack | None = None


def make_dataset(
    out: Path,
    ingredients: Ingredients,
    request: SongsRequest,
    *,
    workers: int = 1,
    on_song: OnSong | None = None,
) -> list[SongDone]:
    """Make all songs that are not there yet.

    Args:
        out: folder of the dataset; new, empty, or one that was begun with the same request.
        ingredients: what songs are made from.
        request: which and how many.
        workers: processes at once.
        on_song: told of each song that is there.
    Returns:
        all tracks, in the order of their names. `out` then also has songs.json (request, licences
        of each track), and every track a track.json.
    Raises:
        SettingsError: if `out` holds something else, or was begun with another request.
        UnbraidError: if an ingredient cannot be read.
    """
    _begin(out, ingredients, request)
    recorded = [song for song in find_multitracks(ingredients.folder / "songs") if not song.is_dull]
    done: list[SongDone] = []
    total = request.songs + (len(recorded) if request.recorded else 0)

    def tell(song: SongDone) -> None:
        done.append(song)
        if on_song is not None:
            on_song(song, len(done), total)

    for jobs in _stages(out, ingredients, request, recorded):
        waiting = []
        for job in jobs:
            facts = _facts_of(out / job.track)
            if facts is not None:
                tell(SongDone(job.track, False, facts))
            else:
                waiting.append(job)
        for job, made in _run(waiting, workers):
            tell(SongDone(job.track, True, made))
    done.sort(key=lambda song: song.track)
    _finish(out, ingredients, request, done)
    return done


def _run(jobs: Sequence[_Job], workers: int) -> Iterator[tuple[_Job, dict[str, Any]]]:
    """Jobs as they are done, with what was made."""
    if workers <= 1 or len(jobs) <= 1:
        for job in jobs:
            yield job, _make(job)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), context, _one_thread) as pool:
        waiting = {pool.submit(_make, job): job for job in jobs}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BrokenProcessPool as error:
            raise UnbraidError(
                "a process that made songs was ended from outside, perhaps for want of memory; "
                "start again, with fewer workers: what is done is kept"
            ) from error
        finally:
            for future in waiting:
                future.cancel()


def _stages(
    out: Path, ingredients: Ingredients, request: SongsRequest, recorded: Sequence[Multitrack]
) -> list[list[_Job]]:
    """Recorded songs first, as others borrow their vocals; jobs of a stage need no others."""
    settings = SongSettings(request.seconds)
    side: Side
    first, borrowed = [], []
    for song in recorded if request.recorded else ():
        side = "valid" if song.is_valid else "train"
        track = f"{side}/recorded-{_plain(song.title)}"
        first.append(_Job(out, track, request, ingredients, settings, multitrack=song))
        if side == "train" and any(file["class"] == "vocals" for file in song.facts["files"]):
            borrowed.append((out / track / f"vocals.{request.format}", song.credit))
    lent = replace(
        settings,
        recorded_vocals=tuple(path for path, _ in borrowed),
        recorded_credit=" / ".join(sorted({credit for _, credit in borrowed})),
    )
    second = []
    for number in range(request.songs):
        side = "valid" if number >= request.songs - request.valid else "train"
        chosen = replace(ingredients, side=side if request.valid else None)
        # Nobody who is heard in training is heard in validation.
        of_side = lent if side == "train" else settings
        track = f"{side}/song-{number:04d}"
        second.append(_Job(out, track, request, chosen, of_side, number))
    return [first, second]


def _one_thread() -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"


def _make(job: _Job) -> dict[str, Any]:
    if job.multitrack is not None:
        stems = multitrack_stems(job.multitrack, basses_apart=True)
        peak = float(np.abs(sum(stems.values())).max())
        gain = np.float32(min(1.0, 0.99 / max(peak, *(np.abs(s).max() for s in stems.values()))))
        stems = {stem: audio * gain for stem, audio in stems.items()}
        facts: dict[str, Any] = {
            "title": job.multitrack.title,
            "kind": "recorded",
            "licences": [job.multitrack.credit],
        }
    else:
        seed = (job.request.seed, job.number)
        stems, made = make_song(seed, job.ingredients, job.settings)
        facts = {"title": f"song {job.number}", "kind": "made up", "seed": list(seed), **made}
    return write_track(job.out / job.track, stems, facts, job.request.format)


def write_track(
    folder: Path,
    stems: dict[str, np.ndarray],
    facts: dict[str, Any],
    format: Literal["flac", "wav"] = "flac",
) -> dict[str, Any]:
    """Write the stems of a track and its track.json; the folder appears when all is there.

    Args:
        folder: of the track, not there yet.
        stems: (samples, 2) at 44.1 kHz, below full scale; those of the four that are missing are
            written as silence.
        facts: what else track.json shall say.
    Returns:
        what track.json says: the facts, the length, and levels in dB.
    Raises:
        AudioWriteError: if the disk is full or cannot be written.
    """
    part = folder.with_name(f".{folder.name}.part")
    samples = len(next(iter(stems.values())))
    facts = {**facts, "samples": samples, "sample_rate": RATE, "rms_db": {}, "silent": []}
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for stem in STEMS:
            audio = stems.get(stem, np.zeros((samples, 2), np.float32))
            integers = np.clip(np.rint(audio.T * np.float32(2**15)), -(2**15), 2**15 - 1)
            path = part / f"{stem}.{format}"
            with AudioWriter(path, AudioFormat(format, str(_BITS)), RATE, 2) as file:
                file.write(np.ascontiguousarray(integers.astype(np.int32)))
            fsync_file(path)
            power = float(np.mean(np.square(integers / 2**15)))
            if power > 0:
                facts["rms_db"][stem] = round(10 * np.log10(power), 1)
            else:
                facts["silent"].append(stem)
        write_text(part / "track.json", json.dumps(facts, indent=1) + "\n")
        part.replace(folder)
    except OSError as error:
        raise AudioWriteError(f"{str(folder)!r} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return facts


def _facts_of(folder: Path) -> dict[str, Any] | None:
    """What track.json says, if the track is there."""
    try:
        facts = json.loads((folder / "track.json").read_text(encoding="utf-8"))
        return facts if isinstance(facts, dict) else None
    except (OSError, ValueError):
        return None


def _content(ingredients: Ingredients, request: SongsRequest) -> dict[str, Any]:
    wanted = asdict(request)
    wanted["seconds"] = list(request.seconds)
    return {"request": wanted, "ingredients": ingredients.fingerprint()}


def _begin(out: Path, ingredients: Ingredients, request: SongsRequest) -> None:
    content = _content(ingredients, request)
    try:
        old = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
        there = {name: old.get(name) for name in content}
    except FileNotFoundError:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise SettingsError(
                f"{str(out)!r} is there and no dataset of songs; give a new folder"
            ) from None
        there = None
    except (OSError, ValueError, AttributeError) as error:
        raise SettingsError(f"{str(out / MANIFEST)!r} cannot be read: {error}") from error
    if there is not None and there != content:
        old_request = there["request"] if isinstance(there["request"], dict) else {}
        other = [n for n, v in content["request"].items() if old_request.get(n) != v]
        what = ", ".join(other) or "ingredients"
        raise SettingsError(
            f"{str(out)!r} was begun with other {what}; give the same, or another folder"
        )
    try:
        (out / "train").mkdir(parents=True, exist_ok=True)
        if there is None:
            write_text(out / MANIFEST, json.dumps(content, indent=1) + "\n")
    except OSError as error:
        raise AudioWriteError(f"{str(out)!r} cannot be written: {error.strerror}") from error


def _finish(
    out: Path, ingredients: Ingredients, request: SongsRequest, done: Sequence[SongDone]
) -> None:
    content = _content(ingredients, request)
    content["licences"] = {song.track: song.facts.get("licences", []) for song in done}
    try:
        write_text(out / MANIFEST, json.dumps(content, indent=1) + "\n")
    except OSError as error:
        raise UnbraidError(f"{str(out / MANIFEST)!r} cannot be written: {error}") from error


def _plain(title: str) -> str:
    """A title that can be the name of a folder on any system."""
    return "".join(c if c.isalnum() or c in " -_" else "_" for c in title).strip() or "song"
