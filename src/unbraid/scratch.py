"""A hidden folder for what is not finished yet, or lasts no longer than its process.

Its owner holds a lock on a file in it, which the operating system releases when the process ends,
however it ends. So the next run knows what a dead one has left, and removes it. Who removes a
folder holds its lock as well: an owner that had just made it, and not locked it yet, makes another.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from threading import Lock

from unbraid.atomic import make_folder
from unbraid.closing import Closing
from unbraid.locks import HeldLock, try_lock

_PREFIX = ".unbraid-"
_LOCK = "lock"
_SWEEP_S = 60.0
"""Sweeping lists all of `root`, which may hold a million songs: not for every one of them."""

_ENTERING = Lock()
_ENTERED: dict[Path, tuple[int, list[Path]]] = {}
"""Roots in which this process works: on how many songs, and which folders it made for them."""
_SWEPT: dict[Path, float] = {}
"""Roots -> when this process last swept them."""


class Scratch(Closing):
    """A fresh hidden folder below `root`, removed by `close()`; clears what dead runs have left.

    `root` is made if need be, and removed again if nothing was put into it.

    Attributes:
        folder: the hidden folder.
    Raises:
        OSError: if `root` cannot be made or written.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._closed = False
        is_due = _enter(root)
        try:
            if is_due:
                sweep(root)
            self.folder, self._lock = _make(root)
        except BaseException:
            _leave(root)
            raise

    def close(self) -> None:
        """Remove the folder. Calling it twice is fine."""
        if self._closed:
            return
        self._closed = True
        _remove(self.folder, self._lock)
        _leave(self._root)


def temporary(root: str | os.PathLike[str] | None = None) -> Scratch:
    """A hidden folder in `root`, or in the system's temporary folder.

    Raises:
        OSError: if there is none, or it cannot be written.
    """
    return Scratch(Path(root or tempfile.gettempdir()))


def sweep(root: Path) -> None:
    """Remove the hidden folders below `root` that this user made, if their owners are dead."""
    for folder in root.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if not _is_own(folder):
                continue
            lock = try_lock(folder / _LOCK)
            if lock is not None:
                _remove(folder, lock)


def _is_own(folder: Path) -> bool:
    """In the temporary folder, others may put what they like under such a name."""
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and (os.name == "nt" or found.st_uid == os.getuid())


def _make(root: Path) -> tuple[Path, HeldLock]:
    """A new folder, and its lock."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=root))
        with suppress(FileNotFoundError):
            lock = try_lock(folder / _LOCK)
            if lock is not None:
                if (folder / _LOCK).exists():
                    return folder, lock
                lock.close()


def _remove(folder: Path, lock: HeldLock) -> None:
    if os.name == "nt":  # where no open file can be removed
        lock.close()
    shutil.rmtree(folder, ignore_errors=True)
    lock.close()


def _enter(root: Path) -> bool:
    """Make `root` and what is missing above it, and remember what was made.

    Returns:
        whether it is time to sweep.
    """
    with _ENTERING:
        is_due = time.monotonic() - _SWEPT.get(root, float("-inf")) > _SWEEP_S
        if is_due:
            _SWEPT[root] = time.monotonic()
        made = _make_folders(root)
        count, before = _ENTERED.get(root, (0, []))
        _ENTERED[root] = count + 1, [*made, *before]
        return is_due


def _leave(root: Path) -> None:
    """The last to leave removes what was made, where nothing was put into it."""
    with _ENTERING:
        count, made = _ENTERED.pop(root)
        if count > 1:
            _ENTERED[root] = count - 1, made
            return
        for empty in made:
            with suppress(OSError):
                empty.rmdir()


def _make_folders(root: Path) -> list[Path]:
    """Returns what was made, innermost first."""
    missing = []
    folder = root
    while not folder.exists() and folder != folder.parent:
        missing.append(folder)
        folder = folder.parent
    make_folder(root)
    return missing
