"""The last layers of an SCNet that masks the mixture's spectrogram instead of making new ones."""

from __future__ import annotations

import numpy as np

from unbraid.engines.native.bands import Map3x3
from unbraid.engines.native.library import pointer
from unbraid.engines.native.norms import gelu
from unbraid.engines.native.products import PLAIN, Product
from unbraid.engines.native.sheets import Pool
from unbraid.engines.native.weights import Weights
from unbraid.shapes import Float32

_ROWS = 62  # at a time; with one more on either side they are whole tiles


class MaskLayer:
    """`SCNet.mask_layer` and the tanh behind it."""

    def __init__(self, weights: Weights) -> None:
        wide, narrow = weights.under("0"), weights.under("2")
        kernel = wide.stored("weight")
        self._width = len(kernel)
        self._wide = Map3x3(kernel, wide["bias"], gated=False)
        taps = narrow.stored("weight")[:, :, 0, 0].T[None]
        self._narrow = Product(taps, narrow["bias"], PLAIN)

    @staticmethod
    def floats(frames: int, width: int = 64) -> int:
        """Memory that a call needs in addition to x and the masks."""
        return (_ROWS + 2) * frames * width

    def __call__(
        self, x: Float32[np.ndarray, "f n s2"], pool: Pool, threads: int
    ) -> Float32[np.ndarray, "f n s2"]:
        """Masks of the same shape, as real and imaginary parts; gives `x` back to the pool."""
        rows, frames, width = x.shape
        masks = pool.tokens(*x.shape)
        for first in range(0, rows, _ROWS):
            last = min(first + _ROWS, rows)
            seen = x[max(first - 1, 0) : last + 1]
            hidden = pool.tokens(len(seen), frames, self._width)
            self._wide(seen, hidden, threads)
            gelu(hidden, threads)
            inner = hidden[min(first, 1) :]
            to = pointer(masks[first])
            count = (last - first) * frames
            self._narrow([pointer(inner)], self._width, count, to, width, threads)
            np.tanh(masks[first:last], out=masks[first:last])
            pool.give(hidden)
        pool.give(x)
        return masks


def apply_masks(
    masks: Float32[np.ndarray, "f n s2"], spectrum: Float32[np.ndarray, "f n c2"]
) -> None:
    """masks <- masks times the spectrum of their channel, as complex numbers."""
    for row, own in zip(masks, spectrum, strict=True):
        z = own.view(np.complex64)
        values = row.view(np.complex64).reshape(len(z), -1, z.shape[1])
        values *= z[:, None]
