"""Files that appear under their name only when they are complete."""

from __future__ import annotations

import errno
import os
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

_LEFT_S = 3600.0
_UNFINISHED = re.compile(r"\..*\.unbraid-[0-9a-f]{8}\.part(\..*)?")
_LONGEST_START_BYTES = 200  # of 255, which a name may have on most file systems


def fsync_file(path: Path) -> None:
    """Wait until the bytes of `path` are on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def fsync_tree(folder: Path) -> None:
    """Wait until all files below `folder`, and their names, are on the disk."""
    for top, _, names in os.walk(folder):
        for name in names:
            fsync_file(Path(top, name))
        _fsync_folder(Path(top))


def publish(temporary: Path, final: Path) -> None:
    """Move a finished file under its name: fsync, rename, fsync of the folder.

    Both must lie on the same file system. A reader sees the old file or the whole new one, never a
    part, also when the power fails.

    Raises:
        OSError: if the disk is full or the folder cannot be written; `final` is then untouched.
    """
    fsync_file(temporary)
    rename_all({temporary: final})


def rename_all(names: Mapping[Path, Path]) -> None:
    """Move finished files, or folders, under their names, one after the other.

    Args:
        names: where each is -> the name that it gets; what is in them is on the disk already.
    Raises:
        OSError: if a folder cannot be written; some may have their names then.
    """
    for temporary, final in names.items():
        temporary.replace(final)
    for folder in {final.parent for final in names.values()}:
        _fsync_folder(folder)


def make_folder(folder: Path) -> None:
    """Make a folder and what is missing above it; they are on the disk before this returns.

    Raises:
        OSError: if one cannot be made.
    """
    if not folder.parent.exists():
        make_folder(folder.parent)
    try:
        folder.mkdir()
    except OSError as error:
        if folder.is_dir():
            return
        if isinstance(error, FileExistsError):
            text = "Is a file, not a folder"
            raise FileExistsError(errno.EEXIST, text, str(folder)) from None
        raise
    _fsync_folder(folder.parent)


def _fsync_folder(folder: Path) -> None:
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return  # Windows opens no folders; the rename alone has to do there
    try:
        os.fsync(handle)
    except OSError:
        pass  # some network file systems refuse it
    finally:
        os.close(handle)


@contextmanager
def replacing(path: Path, suffix: str = "") -> Iterator[Path]:
    """The name under which a file is written, and which it loses to become `path` at the end.

    After an error `path` is untouched. What killed processes left of such files in this folder is
    removed when it is an hour old: no living one writes for so long and changes nothing.

    Args:
        path: what it will be called.
        suffix: end of the name, for writers that look at it.
    Raises:
        OSError: as `publish`.
    """
    _clear_leftovers(path.parent)
    start = path.name.encode()[:_LONGEST_START_BYTES].decode(errors="ignore")
    temporary = path.with_name(f".{start}.unbraid-{uuid.uuid4().hex[:8]}.part{suffix}")
    try:
        yield temporary
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace the content of `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def append_line(path: Path, line: str) -> None:
    """Add a line to a file, on the disk before this returns.

    It begins a line of its own also where a process died in the middle of the one before.
    """
    with path.open("a+b") as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            if file.read(1) != b"\n":
                line = f"\n{line}"
        file.write(f"{line}\n".encode())
        file.flush()
        os.fsync(file.fileno())
    if not end:
        _fsync_folder(path.parent)


@lru_cache(maxsize=1024)  # once in each folder: it may hold a million files
def _clear_leftovers(folder: Path) -> None:
    with suppress(OSError):
        for path in filter(is_leftover, folder.iterdir()):
            if time.time() - path.stat().st_mtime > _LEFT_S:
                path.unlink()


def is_leftover(path: Path) -> bool:
    """Whether a file is unfinished, by its name: `replacing` gives such."""
    return _UNFINISHED.fullmatch(path.name) is not None
