"""Songs that come through a pipe: copied to a temporary file, as decoding has to go back and forth.

`unbraid -`, a named pipe, and the process substitution of a shell (`<(command)`) all work.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from unbraid.audio.files import probe, read_blocks
from unbraid.audio.formats import AudioFormat
from unbraid.audio.write import AudioWriter
from unbraid.scratch import temporary
from unbraid.tracks.names import InputTrack

STANDARD_INPUT = Path("-")
_PIECE = 1 << 20


@contextmanager
def copied_pipes(tracks: Sequence[InputTrack]) -> Iterator[list[InputTrack]]:
    """The same songs, with those that are pipes copied to files; the files are gone at the end.

    Copying ends when the writer closes the pipe. What cannot be copied becomes a song with
    a problem, so that the others continue.
    """
    if not any(_is_pipe(track) for track in tracks):
        yield list(tracks)
        return
    with temporary() as scratch:
        yield [
            _copied(track, scratch.folder / str(number)) if _is_pipe(track) else track
            for number, track in enumerate(tracks)
        ]


def _is_pipe(track: InputTrack) -> bool:
    if track.problem is not None or track.copy is not None:
        return False
    if track.path == STANDARD_INPUT:
        return True
    try:
        mode = track.path.stat().st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _copied(track: InputTrack, folder: Path) -> InputTrack:
    folder.mkdir()
    copy = folder / track.name
    name = "standard input" if track.path == STANDARD_INPUT else repr(str(track.path))
    try:
        with _opened(track.path) as pipe, copy.open("wb") as file:
            if os.isatty(pipe.fileno()):
                return replace(
                    track, problem=f"{name} is a terminal; pipe a sound file into unbraid"
                )
            shutil.copyfileobj(pipe, file, _PIECE)
    except (OSError, ValueError) as error:
        reason = str(getattr(error, "strerror", None) or error).lower()
        return replace(track, problem=f"{name} cannot be copied to a temporary file: {reason}")
    return replace(track, copy=copy)


def _opened(path: Path) -> BinaryIO:
    if path != STANDARD_INPUT:
        return path.open("rb")
    if sys.stdin is None:
        raise OSError(0, "it is closed")
    return os.fdopen(os.dup(sys.stdin.fileno()), "rb")


@contextmanager
def plain_mixture(track: InputTrack) -> Iterator[Path]:
    """A file of which a plain read gives what was separated, for pages about it.

    It is the song itself, unless one of its further audio streams was chosen: that is written to a
    temporary file of the same name.
    """
    if track.stream is None:
        yield track.file
        return
    info = probe(track.file, stream=track.stream)
    with temporary() as scratch:
        folder = scratch.folder / "song"
        folder.mkdir()
        path = folder / track.path.name
        sound = AudioFormat("wav", "32f")
        with AudioWriter(path, sound, info.sample_rate, info.channels) as writer:
            for block in read_blocks(track.file, stream=track.stream):
                writer.write(block)
        yield path
