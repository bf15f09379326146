"""Which songs a request means: files, folders walked through, patterns the shell left alone."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from unbraid.audio.suffixes import EXTENSIONS
from unbraid.tracks.names import InputTrack
from unbraid.tracks.pipes import STANDARD_INPUT
from unbraid.tracks.records import FOLDER, stamp_of, written_paths, written_stamps


def find_inputs(
    arguments: Sequence[str], root: Path, *, stream: int | None = None
) -> list[InputTrack]:
    """All songs that the arguments mean, each once, sorted by path.

    An argument is a file, "-" for standard input, a folder (searched, without hidden names) or a
    pattern. A file that is really named like a pattern, such as "song [live].mp3", is that file;
    one that is named "-" is "./-". Songs in a folder keep their sub-folders. What is not there
    becomes a track with a problem, so that the others continue. Of several links to one file one is
    taken, the file itself if it is among them, and a note of its track names the others.

    Args:
        arguments: as given.
        root: output root, whose stems are not songs. Nor are those of other runs that are met in a
            folder, renamed ones included; a folder of stems that is itself an argument is meant.
        stream: audio stream of all songs, counted from 1; None for the one that players take.
    """
    found: dict[str, dict[str, InputTrack]] = {}
    for argument in arguments:
        for track in _tracks_of(argument, root):
            names = found.setdefault(os.path.realpath(track.path), {})
            names.setdefault(os.path.abspath(track.path), track)  # noqa: PTH100
    tracks = [replace(_chosen([*names.values()]), stream=stream) for names in found.values()]
    return sorted(tracks, key=lambda track: os.fsencode(track.path))


def _chosen(names: list[InputTrack]) -> InputTrack:
    """One of several names of the same file, with a note about the others."""
    first, *others = sorted(
        names, key=lambda track: (_is_link(track.path), os.fsencode(track.path))
    )
    if not others:
        return first
    listed = ", ".join(repr(str(track.path)) for track in others)
    return replace(first, notes=(f"this file is also linked as {listed}; separated once",))


def _is_link(path: Path) -> bool:
    try:
        return path.is_symlink()
    except (OSError, ValueError):
        return False


def identities(tracks: Iterable[InputTrack]) -> list[tuple[int, int]]:
    """(device, inode) of all songs that are there, so that no output replaces one of them."""
    found = []
    for track in tracks:
        try:
            stat = track.file.stat()
        except (OSError, ValueError):
            continue
        found.append((stat.st_dev, stat.st_ino))
    return found


def _tracks_of(argument: str, root: Path) -> Iterator[InputTrack]:
    if not argument or "\0" in argument:
        yield InputTrack(Path(), problem=f"{argument!r} is not a file name")
        return
    path = Path(argument)
    if argument == "-":
        yield InputTrack(STANDARD_INPUT)
        return
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
    except (OSError, ValueError):
        return False


def _is_missing(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):  # reading it will say why
        return False
    return False


def _tracks_at(path: Path, root: Path) -> Iterator[InputTrack]:
    if _is_missing(path):
        yield InputTrack(path, problem=f"{str(path)!r} does not exist")
        return
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
    roots, entered = [root], set()
    songs: list[Path] = []
    for folder, folders, names in os.walk(top, followlinks=True):
        real = os.path.realpath(folder)
        if real in entered or (real == real_root and not inside):
            folders.clear()
            continue
        entered.add(real)
        if FOLDER.parts[0] in folders and folder != os.fspath(top):  # where another run wrote
            roots.append(Path(folder))
        folders[:] = [name for name in folders if not name.startswith(".")]
        songs += [Path(folder, name) for name in names if _is_song(name)]
    written, moved = _ours(roots)
    songs = [path for path in songs if os.path.realpath(path) not in written]
    # Renamed or moved stems are not songs either, unless there is nothing else.
    for path in [path for path in songs if stamp_of(path) not in moved] or songs:
        yield InputTrack(path, path.relative_to(top).parent.parts)


def _is_song(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lstrip(".").lower() in EXTENSIONS


def _ours(roots: Sequence[Path]) -> tuple[set[str], set[tuple[int, int]]]:
    """Real paths of the stems that were written below these output roots, and their stamps."""
    paths = {os.path.realpath(path) for root in roots for path in written_paths(root)}
    return paths, {stamp for root in roots for stamp in written_stamps(root)}


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)
