"""Signals as the kernels see them: (rows, steps, width), with silent steps around each row.

The time branch and the core have one row. A convolution that looks beyond the ends of a row then
finds zeros there, and needs no cases of its own.
"""

from __future__ import annotations

import math

import numpy as np

from unbraid.engines.native.library import aligned, kernels, pointer

MARGIN = 8
"""Silent steps on either side: as far as any convolution looks."""

_ALIGNMENT = 16  # floats: a cache line
_PAGE = 4096  # bytes: no system's pages are smaller


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
    def shape(self) -> tuple[int, int, int, int]:
        """Rows, steps, width, and floats from one row to the next."""
        return self.rows, self.steps, self.width, self.row_stride

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

    def add(self, other: Sheet, threads: int) -> None:
        """self <- self + other, of the same shape."""
        kernels().add(
            self.at(), other.at(), self.rows * self.row_stride - 2 * MARGIN * self.width, threads
        )

    def hush(self) -> None:
        """Silence the margins."""
        self.array[:, :MARGIN] = 0
        self.array[:, MARGIN + self.steps :] = 0


class Pool:
    """Working memory that is used again: fresh memory costs a page fault every few kilobytes.

    One long array, of which the system gives what is touched; the first gap that is large enough is
    taken, so that little more is touched than is in use at once. What lasts to the end of a pass is
    taken from the other end, so that it leaves no gaps on either side.
    """

    def __init__(self, floats: int) -> None:
        self._memory = aligned(floats)
        self._gaps = [(0, floats)]  # start and stop, in order
        self.missed = 0
        """Floats that there was no room for."""

    @property
    def floats(self) -> int:
        """How much there is."""
        return self._memory.size

    def touch(self) -> None:
        """Have the system give all of it."""
        self._memory[:: _PAGE // self._memory.itemsize] = 0

    def sheet(self, rows: int, steps: int, width: int, *, lasting: bool = False) -> Sheet:
        """A sheet with silent margins, whatever is in its rows."""
        memory = self.take(Sheet.size(rows, steps, width), lasting=lasting)
        return Sheet(memory, rows, steps, width)

    def take(self, floats: int, *, lasting: bool = False) -> np.ndarray:
        """So many floats, whatever is in them."""
        size = -(-floats // _ALIGNMENT) * _ALIGNMENT
        fitting = [gap for gap in self._gaps if gap[1] - gap[0] >= size]
        if not fitting:
            self.missed += size
            return aligned(size)  # more than was foreseen
        start, stop = fitting[-1 if lasting else 0]
        first = stop - size if lasting else start
        rest = (start, first) if lasting else (first + size, stop)
        where = self._gaps.index((start, stop))
        self._gaps[where : where + 1] = [rest] if rest[0] < rest[1] else []
        return self._memory[first : first + size]

    def tokens(self, *shape: int, lasting: bool = False) -> np.ndarray:
        """An array of such a shape, whatever is in it."""
        count = math.prod(shape)
        return self.take(count, lasting=lasting)[:count].reshape(shape)

    def give(self, *done: Sheet | np.ndarray) -> None:
        """Take buffers back."""
        for item in done:
            memory = item.memory if isinstance(item, Sheet) else item
            start = (memory.ctypes.data - self._memory.ctypes.data) // self._memory.itemsize
            if memory.base is self._memory.base:
                size = -(-memory.size // _ALIGNMENT) * _ALIGNMENT
                self._gaps = _merged([*self._gaps, (start, start + size)])

    def forget(self) -> None:
        """Free all memory, including what is still in use."""
        self._gaps = [(0, self.floats)]


def _merged(gaps: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(gaps):
        if merged and merged[-1][1] == start:
            merged[-1] = (merged[-1][0], stop)
        else:
            merged.append((start, stop))
    return merged
