"""Bands of a spectrogram (rows, steps, width) in an SCNet; see bands.hpp."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

from unbraid.engines.native.library import (
    BandDecoder,
    BandEncoder,
    Module,
    Winograd,
    kernels,
    pointer,
)
from unbraid.engines.native.packing import PAIRS, MixedWeights, gate_panels, pack, pack_bias
from unbraid.engines.native.weights import EPS, Weights
from unbraid.shapes import Float, Float32


class _Residual:
    """A module over time; `struct` points into arrays that this object holds."""

    def __init__(self, weights: Weights) -> None:
        squeeze = weights.stored("1.weight")  # (2 hidden, width, kernel)
        hidden, width, kernel = squeeze.shape[0] // 2, *squeeze.shape[1:]
        squeeze_bias = pack_bias(weights["1.bias"], PAIRS)
        depthwise = np.ascontiguousarray(weights["3.weight"][:, 0].T)  # (kernel, hidden)
        stride = -(-hidden // kernels().lanes) * kernels().lanes
        self._held = {
            "norm_weight": weights["0.weight"],
            "norm_bias": weights["0.bias"],
            "squeeze": pack(squeeze.transpose(2, 1, 0), PAIRS),
            "squeeze_bias": squeeze_bias,
            "depthwise": np.pad(depthwise, [(0, 0), (0, stride - hidden)]),
            "expand": pack(weights.stored("6.weight")[:, :, 0].T[None]),
            "expand_bias": pack_bias(weights["6.bias"]),
        }
        inner = {"depthwise_bias": "3.bias", "inner_weight": "4.weight", "inner_bias": "4.bias"}
        for name, key in inner.items():
            self._held[name] = np.pad(weights[key], (0, stride - hidden))
        self.struct = Module(
            **{name: pointer(array) for name, array in self._held.items()},
            width=width,
            hidden=hidden,
            stride=stride,
            kernel=kernel,
            eps=EPS,
        )


class BandDown:
    """A band through its strided convolution, its modules and GELU.

    Args:
        conv: of the convolution.
        modules: of the modules over time.
        stride: of the convolution, which is padded so that a row comes out for each of them.
    """

    def __init__(self, conv: Weights, modules: Weights, stride: int) -> None:
        taps = conv.stored("weight")[..., 0].transpose(2, 1, 0)  # (kernel, outer, width)
        self._taps, self._conv = len(taps), _packed_in_parts(taps)
        self._bias = pack_bias(conv["bias"])
        self._modules = [
            _Residual(modules.under(f"layers.{n}")) for n in range(modules.count("layers"))
        ]
        self._structs = (Module * len(self._modules))(*(m.struct for m in self._modules))
        _, self._outer, self._width = taps.shape
        self._stride = stride

    def __call__(
        self, x: Float32[np.ndarray, "f n o"], out: Float32[np.ndarray, "f2 n w"], threads: int
    ) -> None:
        """Encode a band; both are whole rows of larger maps."""
        rows, stride = len(x), self._stride
        total = self._taps - 1 if stride == 1 else -rows % stride
        of = BandEncoder(
            conv=pointer(self._conv),
            conv_bias=pointer(self._bias),
            modules=ctypes.addressof(self._structs),
            outer=self._outer,
            width=self._width,
            kernel=self._taps,
            stride=stride,
            padding=total // 2,
            module_count=len(self._modules),
        )
        to = (pointer(out), len(out), x.shape[1])
        kernels().encode_band(ctypes.byref(of), pointer(x), rows, *to, threads)


class BandUp:
    """A band through its transposed convolution, of which the middle is kept.

    Args:
        weights: of the convolution.
        stride: of it.
        adding: whether what comes out is added to what is there.
    """

    def __init__(self, weights: Weights, stride: int, *, adding: bool) -> None:
        taps = weights.stored("weight")[..., 0].transpose(2, 0, 1)  # (kernel, width, outer)
        self._kernel, self._width, self.outer = taps.shape
        self._taps, self._stride, self._adding = -(-len(taps) // stride), stride, adding
        filled = np.zeros((self._taps * stride, *taps.shape[1:]), taps.dtype)
        filled[: len(taps)] = taps
        phases = [_packed_in_parts(filled[phase::stride]) for phase in range(stride)]
        self._conv, self._bias = np.concatenate(phases), pack_bias(weights["bias"])

    def __call__(
        self, x: Float32[np.ndarray, "f n w"], out: Float32[np.ndarray, "f2 n o"], threads: int
    ) -> None:
        """Decode a band; both are whole rows of larger maps."""
        made = (len(x) - 1) * self._stride + self._kernel
        of = BandDecoder(
            conv=pointer(self._conv),
            bias=pointer(self._bias),
            width=self._width,
            outer=self.outer,
            stride=self._stride,
            taps=self._taps,
            cut=(made - len(out)) // 2,
            adding=self._adding,
        )
        to = (pointer(out), len(out), x.shape[1])
        kernels().decode_band(ctypes.byref(of), pointer(x), len(x), *to, threads)


class Map3x3:
    """A convolution of 3x3 on maps (rows, steps, width), with a gate or without.

    Args:
        weight: (out, in, 3, 3); gated, values come before gates. Even without a gate `out` is even.
        bias: (out,).
    """

    def __init__(
        self, weight: Float[np.ndarray, "o i 3 3"], bias: Float[np.ndarray, " o"], *, gated: bool
    ) -> None:
        outs, ins = weight.shape[:2]
        self._weights = MixedWeights.of_maps(weight)
        self._bias = pack_bias(bias, PAIRS)
        self._struct = Winograd(
            **self._weights.fields(),
            bias=pointer(self._bias),
            ins=ins,
            width=outs // 2,
            gate_panels=gate_panels(outs // 2),
            gated=gated,
        )

    def __call__(
        self, x: Float32[np.ndarray, "f n i"], out: Float32[np.ndarray, "f n o"], threads: int
    ) -> None:
        """Around x there is silence."""
        rows = (pointer(x), x[0].size, pointer(out), out[0].size)
        kernels().refine_maps(ctypes.byref(self._struct), None, 0, *rows, *x.shape[:2], threads)


_AT_ONCE = 9
"""Taps of a product; MOST_TAPS of rows.hpp."""


def _packed_in_parts(taps: Float[np.ndarray, "taps depth columns"]) -> Float32[np.ndarray, " n"]:
    """So many taps as a product takes, then the next."""
    parts: Sequence[np.ndarray] = [
        pack(taps[first : first + _AT_ONCE]).reshape(-1) for first in range(0, len(taps), _AT_ONCE)
    ]
    return np.concatenate(parts)
