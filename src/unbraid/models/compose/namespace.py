"""The operations that models made of models need, for both arrays and tensors."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from unbraid.threads import get_threads

_PRODUCTS = 1 << 19
"""Multiplications at once in `Arrays.filtered`."""


class Arrays:
    """Operations on arrays of numpy, float32."""

    stack = staticmethod(np.stack)
    concatenate = staticmethod(np.concatenate)
    rfft = staticmethod(np.fft.rfft)

    @staticmethod
    def irfft(spectrum: np.ndarray, samples: int) -> np.ndarray:
        """The last axis back to `samples` real numbers, float32."""
        return np.fft.irfft(spectrum, samples).astype(np.float32, copy=False)

    @staticmethod
    def constant(values: Any, like: np.ndarray) -> np.ndarray:
        """Numbers as an array that goes with `like`."""
        return np.asarray(values, like.dtype)

    @staticmethod
    def wide(x: np.ndarray) -> np.ndarray:
        """At least float32."""
        return x if x.dtype.itemsize >= 4 else x.astype(np.float32)

    @staticmethod
    def pad(x: np.ndarray, before: int, after: int) -> np.ndarray:
        """Silence around the last axis."""
        padded = np.zeros((*x.shape[:-1], before + x.shape[-1] + after), x.dtype)
        padded[..., before : before + x.shape[-1]] = x
        return padded

    @staticmethod
    def windows(x: np.ndarray, samples: int, step: int) -> np.ndarray:
        """Overlapping stretches of the last axis, (..., count, samples); a view."""
        return np.lib.stride_tricks.sliding_window_view(x, samples, -1)[..., ::step, :]

    @staticmethod
    def filtered(x: np.ndarray, before: int, blocks: int, step: int, matrix: np.ndarray) -> Any:
        """Windows of x, `step` apart, `before` samples early, each times a matrix, in a row.

        A few blocks at a time: they stay in the cache, and no product is so large that the library
        starts threads for it, which would then be in the way of the model's own.
        """
        made = np.empty((*x.shape[:-1], blocks * matrix.shape[1]), np.float32)
        behind = (blocks - 1) * step + len(matrix) - before - x.shape[-1]
        at_once = _PRODUCTS // matrix.size
        for place in np.ndindex(x.shape[:-1]):
            padded = np.pad(x[place], (before, behind))
            seen = np.lib.stride_tricks.sliding_window_view(padded, len(matrix))[::step]
            rows = made[place].reshape(blocks, -1)
            for first in range(0, blocks, at_once):
                some = slice(first, first + at_once)
                np.matmul(np.ascontiguousarray(seen[some]), matrix, out=rows[some])
        return made

    @staticmethod
    def by_signal(
        function: Callable[[Any, Any], Any], mixture: np.ndarray, estimates: np.ndarray
    ) -> np.ndarray:
        """`function(signal, its estimates)` for each channel of each item, on several threads.

        (b c t) and (b s c t) -> (b s c t); the function takes (t) and (s t), and gives s signals.
        """
        result = np.empty(estimates.shape, np.float32)

        def run(place: tuple[int, int]) -> None:
            item, channel = place
            stems = function(mixture[place], estimates[item, :, channel])
            for number, stem in enumerate(stems):
                result[item, number, channel] = stem

        with ThreadPoolExecutor(get_threads(), "unbraid-masks") as threads:
            list(threads.map(run, np.ndindex(mixture.shape[:2])))
        return result


class Tensors:
    """The same on tensors of torch, with a gradient."""

    def __init__(self) -> None:
        import torch

        self._torch = torch
        self.stack = torch.stack
        self.rfft, self.irfft, self.concatenate = torch.fft.rfft, torch.fft.irfft, torch.cat

    def constant(self, values: Any, like: Any) -> Any:
        """Numbers as a tensor that goes with `like`."""
        return self._torch.as_tensor(values, dtype=like.dtype, device=like.device)

    @staticmethod
    def wide(x: Any) -> Any:
        """At least float32."""
        return x if x.dtype.itemsize >= 4 else x.float()

    def pad(self, x: Any, before: int, after: int) -> Any:
        """Silence around the last axis."""
        return self._torch.nn.functional.pad(x, (before, after))

    @staticmethod
    def windows(x: Any, samples: int, step: int) -> Any:
        """Overlapping stretches of the last axis, (..., count, samples); a view."""
        return x.unfold(-1, samples, step)

    def filtered(self, x: Any, before: int, blocks: int, step: int, matrix: np.ndarray) -> Any:
        """As `Arrays.filtered`; in float32 also under autocast: what a filter loses is lost."""
        with self._torch.autocast(x.device.type, enabled=False):
            needed = (blocks - 1) * step + len(matrix)
            padded = self.pad(x, before, needed - before - x.shape[-1])
            made = padded.unfold(-1, len(matrix), step) @ self.constant(matrix, x)
            return made.flatten(-2)

    def by_signal(self, function: Callable[[Any, Any], Any], mixture: Any, estimates: Any) -> Any:
        """`function` on all signals at once."""
        return self._torch.stack(function(mixture, estimates.unbind(1)), 1)


def namespace(x: Any) -> Any:
    """The operations that go with a value: `Arrays` or `Tensors`."""
    return Arrays if isinstance(x, np.ndarray) else Tensors()
