"""A project of the stems for the audio workstation Reaper: a track for each, all from the start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_KINDS = {".wav": "WAVE", ".flac": "FLAC", ".mp3": "MP3", ".ogg": "VORBIS"}
_UNKNOWN_TEMPO = 120.0


def reaper_project(
    stems: Mapping[str, Path],
    folder: Path,
    *,
    seconds: float,
    sample_rate: int,
    tempo: float | None = None,
) -> str:
    """The text of a `.rpp` file.

    Args:
        stems: name to file, in the order of the tracks.
        folder: where the project lies; files are named from there, so that both can move together.
        seconds: length of the song.
        sample_rate: Hz.
        tempo: beats a minute; None leaves the usual 120.
    """
    lines = [
        '<REAPER_PROJECT 0.1 "6.0" 0',
        f"  TEMPO {_UNKNOWN_TEMPO if tempo is None else tempo:g} 4 4",
        f"  SAMPLERATE {sample_rate} 1 0",
    ]
    for name, path in stems.items():
        file = Path(os.path.relpath(path, folder)).as_posix()
        lines += [
            "  <TRACK",
            f"    NAME {_quoted(name)}",
            "    <ITEM",
            "      POSITION 0",
            f"      LENGTH {seconds:.9f}",
            f"      NAME {_quoted(path.name)}",
            f"      <SOURCE {_KINDS.get(path.suffix, 'VIDEO')}",
            f"        FILE {_quoted(file)}",
            "      >",
            "    >",
            "  >",
        ]
    return "\n".join([*lines, ">", ""])


def _quoted(text: str) -> str:
    """A text in the quotes that it does not hold itself."""
    quote = next((mark for mark in "\"'`" if mark not in text), None)
    return f"`{text.replace('`', chr(39))}`" if quote is None else f"{quote}{text}{quote}"
