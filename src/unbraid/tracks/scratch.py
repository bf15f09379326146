"""A hidden folder below the output root for what is not finished yet.

Its owner holds a lock on a file in it, which the operating system releases when the process ends,
however it ends. So the next run knows what a dead one has left, and removes it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from threading import Lock

from unbraid.closing import Closing
from unbraid.locks import is_locked, lock_new

_PREFIX = ".unbraid-"
_LOCK = "lock"
_NEWBORN_S = 60.0
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
            self.folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=root))
            self._lock = lock_new(self.folder / _LOCK)
        except BaseException:
            _leave(root)
            raise

    def close(self) -> None:
        """Remove the folder. Calling it twice is fine."""
        if self._closed:
            return
        self._closed = True
        if os.name == "nt":
            self._lock.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()
        _leave(self._root)


def sweep(root: Path) -> None:
    """Remove the hidden folders below `root` if their owners are dead."""
    for folder in root.glob(f"{_PREFIX}*"):
        if not _is_alive(folder):
            shutil.rmtree(folder, ignore_errors=True)


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
    root.mkdir(parents=True, exist_ok=True)
    return missing


def _is_alive(folder: Path) -> bool:
    lock = folder / _LOCK
    try:
        if not lock.exists():  # its owner may be about to lock it
            return time.time() - folder.stat().st_mtime < _NEWBORN_S
        return is_locked(lock)
    except FileNotFoundError:
        return False
    except OSError:
        return True
