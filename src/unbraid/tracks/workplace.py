"""A hidden folder below the output root for what is not finished yet.

Its owner holds a lock on a file in it; the lock goes when the process does, however it ends. So the
next run can tell what a dead one has left, and removes it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import numpy as np

from unbraid.audio.levels import peak
from unbraid.closing import Closing
from unbraid.locks import is_locked, lock_new

PREFIX = ".unbraid-"
_LOCK = "lock"
_NEWBORN_S = 60.0
BLOCK_SAMPLES = 1 << 16

_ENTERING = Lock()
_ENTERED: dict[Path, tuple[int, list[Path]]] = {}
"""Roots in which this process works: at how many songs, and which folders it made for them."""


@contextmanager
def open_workplace(root: Path) -> Iterator[Path]:
    """A fresh hidden folder below `root`, gone again at the end; clears what dead runs have left.

    `root` is made if need be, and removed again if nothing was put into it.

    Raises:
        OSError: if `root` cannot be made or written.
    """
    _enter(root)
    try:
        sweep(root)
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=root))
        lock = lock_new(folder / _LOCK)
        try:
            yield folder
        finally:
            if os.name == "nt":
                lock.close()
            shutil.rmtree(folder, ignore_errors=True)
            lock.close()
    finally:
        _leave(root)


def sweep(root: Path) -> None:
    """Remove the hidden folders below `root` whose owners live no more."""
    for folder in root.glob(f"{PREFIX}*"):
        if not _is_alive(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _enter(root: Path) -> None:
    """Make `root` and what is missing above it, and remember what was made."""
    with _ENTERING:
        made = _make_folders(root)
        count, before = _ENTERED.get(root, (0, []))
        _ENTERED[root] = count + 1, [*made, *before]


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
    """What was made, innermost first."""
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


class Spool(Closing):
    """Sound put down on disk as it comes, to be read again in order: float32, no header.

    Interleaved, so that it may be written and read in blocks of any size.

    Args:
        path: file to make.
        rows: channels, or stems times channels.

    Attributes:
        samples: so many have been put down.
        peak: their greatest magnitude.
    """

    def __init__(self, path: Path, rows: int) -> None:
        self.rows = rows
        self.samples = 0
        self.peak = 0.0
        self._path = path
        self._file: BinaryIO | None = path.open("wb", buffering=0)

    def append(self, block: np.ndarray) -> None:
        """Add a block (rows, samples).

        Raises:
            OSError: if the disk is full.
        """
        if self._file is None:
            raise ValueError("this spool is closed")
        if block.size == 0:
            return
        rest = np.ascontiguousarray(block.T, dtype=np.float32).data.cast("B")
        while rest:  # an unbuffered file may take less than all, without complaint
            rest = rest[self._file.write(rest) :]
        self.samples += block.shape[1]
        self.peak = max(self.peak, peak(block))

    def close(self) -> None:
        """End writing. Reading goes on."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def blocks(self, block_samples: int = BLOCK_SAMPLES) -> Iterator[np.ndarray]:
        """All that was put down, in new arrays (rows, block_samples); the last may be shorter."""
        with self._path.open("rb") as file:
            while True:
                flat = np.fromfile(file, np.float32, block_samples * self.rows)
                if flat.size == 0:
                    return
                yield np.ascontiguousarray(flat.reshape(-1, self.rows).T)

    def remove(self) -> None:
        """Give its disk space back."""
        self.close()
        self._path.unlink(missing_ok=True)
