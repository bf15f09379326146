"""Bytes of a file that are read where they lie, without copies."""

from __future__ import annotations

import mmap
import weakref
from pathlib import Path

import numpy as np

from unbraid.shapes import UInt8


class MappedFile:
    """Parts of one file, which is mapped once, for as long as any of them is in use.

    A model has hundreds of weights. To map each by itself takes longer than to check them.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._mapped: weakref.ref[mmap.mmap] | None = None

    def part(self, start: int, size: int) -> UInt8[np.ndarray, " bytes"]:
        """So many bytes, at least one, read-only.

        Raises:
            OSError: if the file cannot be opened.
            ValueError: if it ends before them.
        """
        mapped = None if self._mapped is None else self._mapped()
        if mapped is None:
            with self._path.open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._mapped = weakref.ref(mapped)
        return np.frombuffer(mapped, np.uint8, size, start)
