"""Which songs a request means: files, folders walked through, patterns the shell left alone."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from unbraid.audio.suffixes import EXTENSIONS
from unbraid.tracks.names import InputTrack
from unbraid.tracks.records import FOLDER, written_paths


def find_inputs(arguments: Sequence[str], root: Path) -> list[InputTrack]:
    """All songs that the arguments mean, each once, sorted by path.

    An argument is a file, a folder (walked through, hidden names left out) or a pattern. A file
    that is really named like a pattern, such as "song [live].mp3", is that file. Songs in a folder
    keep their sub-folders. What is not there becomes a track with a problem, so that the others go
    on.

    Args:
        arguments: as given.
        root: output root, whose stems are not songs. Nor are those of other runs that are met on a
            walk; a folder of them that is itself an argument is meant.
    """
    found: dict[str, InputTrack] = {}
    for argument in arguments:
        for track in _tracks_of(argument, root):
            found.setdefault(os.path.realpath(track.path), track)
    return sorted(found.values(), key=lambda track: os.fsencode(track.path))


def identities(tracks: Iterable[InputTrack]) -> list[tuple[int, int]]:
    """(device, inode) of all songs that are there, so that no output replaces one of them."""
    found = []
    for track in tracks:
        try:
            stat = track.path.stat()
        except (OSError, ValueError):
            continue
        found.append((stat.st_dev, stat.st_ino))
    return found


def _tracks_of(argument: str, root: Path) -> Iterator[InputTrack]:
    if not argument or "\0" in argument:
        yield InputTrack(Path(), problem=f"{argument!r} is no name of a file")
        return
    path = Path(argument)
    if _exists(path) or not glob.has_magic(argument):
        yield from _tracks_at(path, root)
        return
    matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207
    if not matches:
        yield InputTrack(path, problem=f"{argument!r} matches no file")
    for match in matches:
        yield from _tracks_at(Path(match), root)


def _exists(path: Path) -> bool:
    try:
        return os.path.lexists(path)
    except OSError:
        return False


def _tracks_at(path: Path, root: Path) -> Iterator[InputTrack]:
    if not path.is_dir():
        yield InputTrack(path)
        return
    tracks = list(_walk(path, root))
    if not tracks:
        yield InputTrack(path, problem=f"{str(path)!r} holds no sound files")
    yield from tracks


def _walk(top: Path, root: Path) -> Iterator[InputTrack]:
    """Songs below a folder. Links to folders are followed, but no folder is entered twice."""
    real_root = os.path.realpath(root)
    inside = _is_below(os.path.realpath(top), real_root)
    ours = {os.path.realpath(path) for path in written_paths(root)}
    entered = set()
    for folder, folders, names in os.walk(top, followlinks=True):
        real = os.path.realpath(folder)
        if real in entered or (real == real_root and not inside):
            folders.clear()
            continue
        entered.add(real)
        if FOLDER.parts[0] in folders and folder != os.fspath(top):  # where another run wrote
            ours |= {os.path.realpath(path) for path in written_paths(Path(folder))}
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            suffix = Path(name).suffix.lstrip(".").lower()
            path = Path(folder, name)
            if name.startswith(".") or suffix not in EXTENSIONS or os.path.realpath(path) in ours:
                continue
            yield InputTrack(path, path.relative_to(top).parent.parts)


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)
