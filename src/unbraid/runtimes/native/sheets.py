"""Signals as the kernels see them: (rows, steps, width), with silent steps around each row.

The time branch and the core have one row. A convolution that looks beyond the ends of a row then
finds zeros there, and needs no cases of its own.
"""

from __future__ import annotations

import numpy as np

from unbraid.runtimes.native.library import pointer

MARGIN = 8
"""Silent steps on either side: as far as any convolution looks."""

_ALIGNMENT = 16  # floats: a cache line


class Sheet:
    """Rows of steps of features, float32.

    Args:
        memory: of at least `Sheet.size(rows, steps, width)` floats, which the sheet takes over.
    """

    def __init__(self, memory: np.ndarray, rows: int, steps: int, width: int) -> None:
        self.memory = memory
        self.rows, self.steps, self.width = rows, steps, width
        self.array = memory[: self.size(rows, steps, width)].reshape(rows, -1, width)
        self.hush()

    @staticmethod
    def size(rows: int, steps: int, width: int) -> int:
        """Floats that such a sheet takes."""
        return rows * (steps + 2 * MARGIN) * width

    @property
    def row_stride(self) -> int:
        """Floats from one row to the next."""
        return (self.steps + 2 * MARGIN) * self.width

    @property
    def inner(self) -> np.ndarray:
        """(rows, steps, width), without the margins; a view."""
        return self.array[:, MARGIN : MARGIN + self.steps]

    def without_rows(self, count: int) -> Sheet:
        """The same without `count` rows at either end; takes over the memory."""
        self.array = self.array[count : self.rows - count]
        self.rows -= 2 * count
        return self

    def at(self, row: int = 0, step: int = 0) -> int:
        """Address of a step, which may lie in the margin."""
        return pointer(self.array, row * self.row_stride + (MARGIN + step) * self.width)

    def hush(self) -> None:
        """Silence the margins."""
        self.array[:, :MARGIN] = 0
        self.array[:, MARGIN + self.steps :] = 0


class Pool:
    """Working memory that is used again: fresh memory costs a page fault every few kilobytes.

    One long array, of which the system gives what is touched; the first gap that is large enough is
    taken, so that little more is touched than is in use at once.
    """

    def __init__(self, floats: int) -> None:
        self._memory = np.empty(floats, np.float32)
        self._gaps = [(0, floats)]  # start and stop, in order
        self.touched = 0

    @property
    def floats(self) -> int:
        """How much there is."""
        return self._memory.size

    def sheet(self, rows: int, steps: int, width: int) -> Sheet:
        """A sheet with silent margins, whatever is in its rows."""
        return Sheet(self.take(Sheet.size(rows, steps, width)), rows, steps, width)

    def take(self, floats: int) -> np.ndarray:
        """So many floats, whatever is in them."""
        size = -(-floats // _ALIGNMENT) * _ALIGNMENT
        for number, (start, stop) in enumerate(self._gaps):
            if stop - start >= size:
                self._gaps[number : number + 1] = (
                    [(start + size, stop)] if stop > start + size else []
                )
                self.touched = max(self.touched, start + size)
                return self._memory[start : start + size]
        return np.empty(size, np.float32)  # more than was foreseen

    def give(self, *done: Sheet | np.ndarray) -> None:
        """Take buffers back."""
        for item in done:
            memory = item.memory if isinstance(item, Sheet) else item
            start = (memory.ctypes.data - self._memory.ctypes.data) // self._memory.itemsize
            if memory.base is self._memory:
                self._gaps = _merged([*self._gaps, (start, start + memory.size)])

    def forget(self) -> None:
        """All is free again, whoever had it."""
        self._gaps = [(0, self.floats)]


def _merged(gaps: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(gaps):
        if merged and merged[-1][1] == start:
            merged[-1] = (merged[-1][0], stop)
        else:
            merged.append((start, stop))
    return merged
