"""Beats, bars and chords of a song: found by the worker, corrected by people, kept in its folder.

music.json           as it was found
music-edited.json    as somebody corrected it; deleted to go back to what was found
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from starlette.requests import Request

from unbraid.atomic import write_text
from unbraid.music.analysis import Music, analyse_features
from unbraid.music.features import hear
from unbraid.web.pcm import ORIGINAL, read_part
from unbraid.web.refusals import Refusal

FOUND, EDITED = "music.json", "music-edited.json"
_MOST_BEATS, _MOST_CHORDS = 50_000, 20_000
_LEAST_BEAT_S = 0.05
_LATEST_S = 500_000.0

Seconds = Annotated[float, Field(ge=0, le=_LATEST_S, allow_inf_nan=False)]


@dataclass(frozen=True)
class ChordView:
    """A chord: when it begins, and its name; "" where there is none."""

    start_s: Seconds
    name: Annotated[str, Field(max_length=16, pattern=r"^[^\x00-\x1f\x7f]*$")]


@dataclass(frozen=True)
class MusicEdit:
    """Beats, bars and chords as somebody wants them.

    Attributes:
        beats: times in seconds, rising.
        beats_in_bar: how many beats a bar has.
        first: index of the first beat that begins a bar.
        chords: in their order; each lasts until the next one.
    """

    beats: Annotated[list[Seconds], Field(max_length=_MOST_BEATS)]
    beats_in_bar: Annotated[int, Field(ge=1, le=16)]
    first: Annotated[int, Field(ge=0, le=15)]
    chords: Annotated[list[ChordView], Field(max_length=_MOST_CHORDS)]


@dataclass(frozen=True)
class MusicView(MusicEdit):
    """Beats, bars and chords of a song; `edited` tells whether somebody corrected them."""

    edited: bool


_EDIT = TypeAdapter(MusicEdit)
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["beats", "beats_in_bar", "first", "chords"],
                    "properties": {
                        "beats": {"type": "array", "items": {"type": "number"}},
                        "beats_in_bar": {"type": "integer", "minimum": 1, "maximum": 16},
                        "first": {"type": "integer", "minimum": 0, "maximum": 15},
                        "chords": {"type": "array", "items": {"type": "object"}},
                    },
                }
            }
        },
    }
}


def parts_to_hear(parts: Collection[str]) -> list[str]:
    """The parts that tell beats and chords: not vocals; the original if nothing else has harmony.

    >>> parts_to_hear(["drums", "bass", "other", "vocals"])
    ['drums', 'bass', 'other']
    >>> parts_to_hear(["vocals"]), parts_to_hear(["drums", "residual"])
    (['original'], ['drums', 'residual'])
    """
    heard = [part for part in parts if part != "vocals"]
    return heard if set(heard) - {"drums"} else [*heard, ORIGINAL]


def listen(files: Mapping[str, Path], sample_rate: int) -> Music:
    """Beats and chords of a song, from the files of its parts by their names."""
    return analyse_features(
        {part: hear(read_part(path), sample_rate) for part, path in files.items()}
    )


def write_found(song: Path, music: Music) -> None:
    """Keep what was found in a song; its folder is `song`."""
    beats = music.beats
    content = MusicEdit(
        beats=[] if beats is None else [round(time, 4) for time in beats.times_s],
        beats_in_bar=4 if beats is None else beats.beats_in_bar,
        first=0 if beats is None else beats.first,
        chords=[ChordView(round(chord.start_s, 4), chord.name) for chord in music.chords],
    )
    write_text(song / FOUND, json.dumps(asdict(content), separators=(",", ":")))


def read_music(song: Path) -> MusicView:
    """Beats and chords of a song, as corrected or as found; empty if nothing was found."""
    for name, edited in ((EDITED, True), (FOUND, False)):
        try:
            content = _EDIT.validate_json((song / name).read_bytes())
        except (OSError, ValidationError):
            continue
        return MusicView(**content.__dict__, edited=edited)
    return MusicView([], 4, 0, [], edited=False)


def write_edit(song: Path, edit: MusicEdit) -> None:
    """Keep a correction."""
    write_text(song / EDITED, json.dumps(asdict(edit), separators=(",", ":")))


def forget_edit(song: Path) -> None:
    """Go back to what was found."""
    (song / EDITED).unlink(missing_ok=True)


async def receive_edit(request: Request) -> MusicEdit:
    """The correction in a request's body.

    Raises:
        Refusal: 422 if it is not a correction, or its times do not rise.
    """
    try:
        edit = _EDIT.validate_json(await request.body())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise _bad(f"{where}: {first['msg']}" if where else str(first["msg"])) from None
    if any(b - a < _LEAST_BEAT_S for a, b in _pairs(edit.beats)):
        raise _bad(f"beats: each comes at least {_LEAST_BEAT_S:g} s after the one before it")
    if any(b <= a for a, b in _pairs([chord.start_s for chord in edit.chords])):
        raise _bad("chords: each begins later than the one before it")
    if edit.first >= edit.beats_in_bar:
        raise _bad("first: a bar begins within the first beats_in_bar beats")
    return edit


def _pairs(times: list[float]) -> Iterator[tuple[float, float]]:
    return pairwise(times)


def _bad(what: str) -> Refusal:
    return Refusal(422, "bad_request", f"Not possible: {what[:300]}.")
