"""Matrix products with packed weights: used by all convolutions except the gated 3x3 ones."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence

import numpy as np

from unbraid.engines.native.library import kernels, pointer
from unbraid.engines.native.packing import PAIRS, pack, pack_bias, pack_pair
from unbraid.shapes import Float

PLAIN, GELU, ADD, GATED, ADD_GELU = range(5)
"""What happens to a product on its way out; as `unbraid_product` counts."""


class HopFilter:
    """Rows m of out <- W0 hop[m] + W1 hop[m + 1] + bias, with `then` applied; hops lie one behind
    the other. Two rows at a time by three products, where a product would take four.

    Args:
        weight: (2, depth, columns), any view.
        bias: (columns,), or None.
        then: one of PLAIN, GELU, ADD, ADD_GELU.
    """

    def __init__(
        self,
        weight: Float[np.ndarray, "two depth *columns"],
        bias: Float[np.ndarray, " n"] | None,
        then: int = PLAIN,
    ) -> None:
        self.depth, self.columns = weight.shape[1], math.prod(weight.shape[2:])
        self._packed = pack_pair(weight)
        self._bias = pack_bias(np.zeros(self.columns, np.float32) if bias is None else bias)
        self._then = then

    def __call__(self, hops: int, rows: int, out: int, out_stride: int, threads: int) -> None:
        """So many rows, from the hop at the address `hops` on; rows of out `out_stride` apart."""
        kernels().filter_hops(
            hops,
            self.depth,
            rows,
            pointer(self._packed),
            pointer(self._bias),
            len(self._packed),
            self._then,
            out,
            out_stride,
            self.columns,
            threads,
        )


class Product:
    """out <- A weight + bias, with `then` applied.

    Args:
        weight: (taps, depth, columns), any view.
        bias: (columns,), or None.
        then: one of PLAIN, GELU, ADD, GATED, ADD_GELU. Gated, `columns` are values and gates, and
            half as many come out.
    """

    def __init__(
        self,
        weight: Float[np.ndarray, "taps depth *columns"],
        bias: Float[np.ndarray, " n"] | None,
        then: int = PLAIN,
        turns: int = 1,
    ) -> None:
        turns = PAIRS if then == GATED else turns
        self._packed = pack(weight, turns, compact=True)
        self._bias = None if bias is None else pack_bias(bias, turns)
        self._then = then
        self.depth = weight.shape[0] * weight.shape[1]
        self.columns = math.prod(weight.shape[2:]) // (2 if then == GATED else 1)

    def __call__(
        self, at: Sequence[int], stride: int, rows: int, out: int, out_stride: int, threads: int
    ) -> None:
        """Rows of A begin at the addresses `at` and are `stride` floats apart; so are rows of out.

        All taps are equally deep: `depth / len(at)`.
        """
        kernels().product(
            (ctypes.c_void_p * len(at))(*at),
            len(at),
            self.depth // len(at),
            stride,
            rows,
            pointer(self._packed),
            self._packed.itemsize,
            None if self._bias is None else pointer(self._bias),
            len(self._packed),
            self._then,
            out,
            out_stride,
            self.columns,
            threads,
        )
