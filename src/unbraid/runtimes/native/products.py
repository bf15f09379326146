"""Matrix products with packed weights: what all convolutions but the gated 3x3 ones become."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from unbraid.runtimes.native.library import kernels, pointer
from unbraid.runtimes.native.packing import pack, pack_bias, pack_gated, pack_gated_bias

PLAIN, GELU, ADD, GATED = range(4)
"""What happens to a product on its way out; as `unbraid_product` counts."""


class Product:
    """out <- A weight + bias, with `then` applied.

    Args:
        weight: (taps * depth, columns).
        bias: (columns,), or None.
        then: one of PLAIN, GELU, ADD, GATED. Gated, `columns` are values and gates, and half as
            many come out.
    """

    def __init__(
        self,
        weight: Float[np.ndarray, "k n"],
        bias: Float[np.ndarray, " n"] | None,
        then: int = PLAIN,
    ) -> None:
        gated = then == GATED
        self._packed = pack_gated(weight) if gated else pack(weight)
        self._bias = None
        if bias is not None:
            self._bias = pack_gated_bias(bias) if gated else pack_bias(bias)
        self._then = then
        self.depth, columns = weight.shape
        self.columns = columns // 2 if gated else columns

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
            None if self._bias is None else pointer(self._bias),
            len(self._packed),
            self._then,
            out,
            out_stride,
            self.columns,
            threads,
        )
