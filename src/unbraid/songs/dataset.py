"""A folder dataset of made-up songs: OUT/{train,valid}/TRACK/{drums,bass,other,vocals}.flac

Every song comes from its own seed, so any number of processes make the same bytes. A track's folder
appears only when it is whole; what is there is not made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.errors import SettingsError
from unbraid.songs.dataset_writer import (
    OnTrack,
    TrackDone,
    TrackFormat,
    begin,
    check_request,
    finish,
    make_tracks,
    write_track,
)
from unbraid.songs.deep_bass import LINES, Line
from unbraid.songs.effects import RATE
from unbraid.songs.ingredients import Ingredients, Side
from unbraid.songs.make_song import make_low_end, make_song
from unbraid.songs.multitracks import (
    CROSSOVERS_HZ,
    Multitrack,
    find_multitracks,
    fitted,
    low_line,
    low_register,
    multitrack_stems,
)
from unbraid.songs.song import STEMS, SongSettings
from unbraid.words import counted

MANIFEST = "songs.json"


@dataclass(frozen=True)
class SongsRequest:
    """What to make.

    Attributes:
        songs: made-up songs, in both splits together.
        valid: how many of them for validation, with speakers and takes that no other song has.
        seed: of all.
        seconds: least and greatest length of a song.
        format: "flac" or "wav", both with 16 bits.
        recorded: whether recorded songs among the ingredients become tracks too.
        low_end: share of the songs for training that are drums and a deep bass alone, of four kinds
            in turn; with `recorded` the bass lines of recorded synthesizers become tracks as well.
        choirs: share of the sung parts made from speech that a choir sings.
    Raises:
        SettingsError: if there is nothing to make.
    """

    songs: int = 20
    valid: int = 2
    seed: int = 0
    seconds: tuple[float, float] = (60.0, 85.0)
    format: TrackFormat = "flac"
    recorded: bool = True
    low_end: float = 0.0
    choirs: float = 0.1

    def __post_init__(self) -> None:
        if self.songs < 1:
            raise SettingsError(f"songs is 1 or more, got {self.songs}")
        if not 0 <= self.valid < self.songs:
            raise SettingsError(
                f"of {counted(self.songs, 'song')} 0 to {self.songs - 1} are for validation, "
                f"got {self.valid}"
            )
        if not 0 <= self.low_end <= 1:
            raise SettingsError(f"a share of songs lies within 0 and 1, got {self.low_end:g}")
        check_request("songs", self.seed, self.format)
        SongSettings(self.seconds, choirs=self.choirs)


@dataclass(frozen=True)
class _Job:
    out: Path
    track: str
    request: SongsRequest
    ingredients: Ingredients
    settings: SongSettings
    number: int = 0
    multitrack: Multitrack | None = None
    line: Line | None = None
    cutoff_hz: int = 0


def make_dataset(
    out: Path,
    ingredients: Ingredients,
    request: SongsRequest,
    *,
    workers: int = 1,
    on_song: OnTrack | None = None,
) -> list[TrackDone]:
    """Make all songs that are not there yet.

    Args:
        out: folder of the dataset; new, empty, or one that was begun with the same request.
        ingredients: what songs are made from.
        request: which and how many.
        workers: processes at once.
        on_song: called with each finished song.
    Returns:
        all tracks, in the order of their names. `out` then also has songs.json (request, licences
        of each track), and every track a track.json.
    Raises:
        SettingsError: if `out` holds something else, or was begun with another request.
        UnbraidError: if an ingredient cannot be read.
    """
    content = _content(ingredients, request)
    begin(out, MANIFEST, content)
    recorded = [song for song in find_multitracks(ingredients.folder / "songs") if not song.is_dull]
    done: list[TrackDone] = []
    stages = _stages(out, ingredients, request, recorded)
    total = sum(map(len, stages))
    for jobs in stages:
        for song in make_tracks(out, jobs, lambda job: job.track, _make, workers):
            done.append(song)
            if on_song is not None:
                on_song(song, len(done), total)
    done.sort(key=lambda song: song.track)
    content["licences"] = {song.track: song.facts.get("licences", []) for song in done}
    finish(out, MANIFEST, content)
    return done


def _stages(
    out: Path, ingredients: Ingredients, request: SongsRequest, recorded: Sequence[Multitrack]
) -> list[list[_Job]]:
    """Recorded songs first, as others borrow their vocals; jobs of a stage need no others."""
    settings = SongSettings(request.seconds, choirs=request.choirs)
    side: Side
    first, borrowed = [], []
    for song in recorded if request.recorded else ():
        side = "valid" if song.is_valid else "train"
        track = f"{side}/recorded-{_plain(song.title)}"
        first.append(_Job(out, track, request, ingredients, settings, multitrack=song))
        low = low_line(song) if side == "train" and request.low_end else None
        if low is not None:
            first += [
                _Job(out, f"train/lowline-{_plain(song.title)}-{cutoff}", request, ingredients,
                     settings, multitrack=low, cutoff_hz=cutoff)
                for cutoff in CROSSOVERS_HZ
            ]  # fmt: skip
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
        line = _line_of(number, request.low_end) if side == "train" else None
        second.append(_Job(out, track, request, chosen, of_side, number, line=line))
    return [first, second]


def _line_of(number: int, share: float) -> Line | None:
    """Which kind of low end a song is, if it is one: `share` of the numbers, evenly spread."""
    before = int(number * share)
    return LINES[before % len(LINES)] if int((number + 1) * share) > before else None


def _make(job: _Job) -> dict[str, Any]:
    facts: dict[str, Any]
    if job.multitrack is not None and job.cutoff_hz:
        title = f"{job.multitrack.title} below {job.cutoff_hz} Hz"
        stems = {"bass": low_register(job.multitrack, job.cutoff_hz)}
        facts = {"title": title, "kind": "recorded", "licences": [job.multitrack.credit]}
    elif job.multitrack is not None:
        stems = fitted(multitrack_stems(job.multitrack, basses_apart=True))
        facts = {
            "title": job.multitrack.title,
            "kind": "recorded",
            "licences": [job.multitrack.credit],
        }
    else:
        seed = (job.request.seed, job.number)
        if job.line is not None:
            stems, made = make_low_end(seed, job.ingredients, job.settings, line=job.line)
        else:
            stems, made = make_song(seed, job.ingredients, job.settings)
        facts = {"title": f"song {job.number}", "kind": "made up", "seed": list(seed), **made}
    samples = len(next(iter(stems.values())))
    silence = np.zeros((samples, 2), np.float32)
    signals = {stem: stems.get(stem, silence).T for stem in STEMS}
    return write_track(job.out / job.track, signals, RATE, facts, job.request.format)


def _content(ingredients: Ingredients, request: SongsRequest) -> dict[str, Any]:
    wanted = asdict(request)
    wanted["seconds"] = list(request.seconds)
    for name in ("low_end", "choirs"):
        if not wanted[name]:
            del wanted[name]  # a set that was begun before there was this is still the same
    return {"request": wanted, "ingredients": ingredients.fingerprint()}


def _plain(title: str) -> str:
    """A title that can be the name of a folder on any system."""
    return "".join(c if c.isalnum() or c in " -_" else "_" for c in title).strip() or "song"
