"""Rows of an image times matrices by numpy's BLAS, where there are no kernels of our own.

A row of A may overlap the next, as the pixels under a moving kernel do: only the distance between
rows is stated. BLAS gets a copy.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.shapes import Float


class Products:
    """out[i][m] <- A[i][m] W[i] for matrices i and rows m.

    Args:
        weights: matrices that stay, all of one shape; float16 or float32.
    """

    def __init__(self, weights: Sequence[Float[np.ndarray, "k n"]]) -> None:
        self._weights = [np.ascontiguousarray(weight) for weight in weights]

    def __call__(
        self, a: np.ndarray, step: int, rows: int, out: np.ndarray, to: int, pitch: int
    ) -> None:
        """Row m of A[i] starts at element `m * step`, row m of out[i] at `to + m * pitch`.

        Args:
            a: (matrices, elements), float32, C-contiguous. Rows that would reach past its end are
                left out.
            step, rows, to, pitch: as above, in elements.
            out: (matrices, elements), float32, C-contiguous.
        """
        depth, columns = self._weights[0].shape
        there = min(rows, (a.shape[1] - depth) // step + 1)
        for own, weight, made in zip(a, self._weights, out, strict=True):
            seen = np.lib.stride_tricks.as_strided(own, (there, depth), (4 * step, 4))
            written = np.lib.stride_tricks.as_strided(made[to:], (there, columns), (4 * pitch, 4))
            wide = weight.astype(np.float32, copy=False)
            np.matmul(np.ascontiguousarray(seen), wide, out=written)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Keep numpy's BLAS on one thread: there is a thread of ours for each core already."""
    found = _openblas()
    if found is None:
        yield
        return
    get, put = found
    before = get()
    put(1)
    try:
        yield
    finally:
        put(before)


@functools.cache
def _openblas() -> tuple[Any, Any] | None:
    """How to ask and tell the OpenBLAS that numpy's wheels bring; None with another library."""
    folder = Path(np.__file__).parent.with_name("numpy.libs")
    for path in sorted(folder.glob("*openblas*")):
        for prefix, suffix in (("scipy_", "64_"), ("", "64_"), ("scipy_", ""), ("", "")):
            try:
                library = ctypes.CDLL(str(path))
                get = getattr(library, f"{prefix}openblas_get_num_threads{suffix}")
                put = getattr(library, f"{prefix}openblas_set_num_threads{suffix}")
            except (OSError, AttributeError):
                continue
            return get, put
    return None
