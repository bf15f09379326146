"""Files that appear under their name only when they are complete."""

from __future__ import annotations

import os
from pathlib import Path


def fsync_file(path: Path) -> None:
    """Wait until the bytes of `path` are on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def publish(temporary: Path, final: Path) -> None:
    """Move a finished file under its name: fsync, rename, fsync of the folder.

    Both must lie on the same file system. A reader sees the old file or the whole new one, never a
    part, also when the power fails.

    Raises:
        OSError: if the disk is full or the folder cannot be written; `final` is then untouched.
    """
    fsync_file(temporary)
    temporary.replace(final)
    _fsync_folder(final.parent)


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


def write_text(path: Path, text: str) -> None:
    """Replace the content of `path`, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_text(text, encoding="utf-8")
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
