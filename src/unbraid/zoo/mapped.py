"""Bytes of a file that are read where they lie, without copies."""

from __future__ import annotations

import mmap
import weakref
from pathlib import Path
from typing import Any

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


def release(values: np.ndarray) -> None:
    """Let the system take back the memory of values that lie in a mapped file.

    They may still be read, and then come from the file again. Other values are left as they are.
    """
    mapped: Any = values
    while mapped is not None and not isinstance(mapped, mmap.mmap):
        mapped = mapped.obj if isinstance(mapped, memoryview) else getattr(mapped, "base", None)
    if mapped is None or not hasattr(mapped, "madvise"):  # as on Windows
        return
    start = values.ctypes.data - np.frombuffer(mapped, np.uint8).ctypes.data
    first = start // mmap.PAGESIZE * mmap.PAGESIZE
    mapped.madvise(mmap.MADV_DONTNEED, first, start + values.nbytes - first)
