"""The separation network of an SCNet on maps (rows, steps, width); see `models/scnet/paths.py`."""

from __future__ import annotations

import ctypes
import math

import numpy as np

from unbraid.engines.native.library import Sequences, kernels, pointer
from unbraid.engines.native.norms import moments
from unbraid.engines.native.packing import PAIRS, pack, pack_bias
from unbraid.engines.native.products import ADD, Product
from unbraid.engines.native.sheets import Pool
from unbraid.engines.native.weights import EPS, Weights
from unbraid.shapes import Float32

_SIZE = 0.7
"""Root mean square of scaled weights: about that of what comes in, so that pairs lose no digits."""
_MOST_UNITS = 512
"""Of an LSTM whose features may be multiplied in pairs; half of `Seen::MOST`."""


class SeparationNet:
    """All layers; they see time, and in turn its Fourier transform, with twice the features."""

    def __init__(self, weights: Weights) -> None:
        self._layers = [
            DualPath(weights.under(f"dp_modules.{n}")) for n in range(weights.count("dp_modules"))
        ]

    def __call__(
        self, x: Float32[np.ndarray, "f n w"], pool: Pool, threads: int
    ) -> Float32[np.ndarray, "f n w"]:
        """A map of the same shape; gives `x` back to the pool. Steps are even."""
        rows, steps, width = x.shape
        for index, layer in enumerate(self._layers):
            layer(x, pool, threads)
            shape = (rows, steps, width) if index % 2 else (rows, steps // 2 + 1, 2 * width)
            turned = pool.tokens(*shape)
            turn = kernels().from_fourier if index % 2 else kernels().to_fourier
            turn(pointer(x), pointer(turned), rows, steps, width, threads)
            pool.give(x)
            x = turned
        return x


class DualPath:
    """x <- x + what an LSTM along frequency gives, then one along time."""

    def __init__(self, weights: Weights) -> None:
        self._norms = [_OneGroupNorm(weights.under(f"norm_layers.{n}")) for n in range(2)]
        self._lstms = [SideBySide(weights.under(f"lstm_layers.{n}")) for n in range(2)]
        self._linear = []
        for number in range(2):
            linear = weights.under(f"linear_layers.{number}")
            self._linear.append(Product(linear.stored("weight").T[None], linear["bias"], ADD))

    def __call__(self, x: Float32[np.ndarray, "f n w"], pool: Pool, threads: int) -> None:
        """In place."""
        rows, steps, width = x.shape
        found = pool.tokens(rows, steps, 2 * width)
        for path, (norm, lstm, linear) in enumerate(
            zip(self._norms, self._lstms, self._linear, strict=True)
        ):
            affine = norm(x, threads)
            seen, to = (x, found) if path else (x.swapaxes(0, 1), found.swapaxes(0, 1))
            lstm(seen, *affine, to, threads)
            linear([pointer(found)], 2 * width, rows * steps, pointer(x), width, threads)
        pool.give(found)


class _OneGroupNorm:
    """GroupNorm of one group, as a factor and an offset of each feature."""

    def __init__(self, weights: Weights) -> None:
        self._weight, self._bias = weights["weight"], weights["bias"]

    def __call__(
        self, x: Float32[np.ndarray, "f n w"], threads: int
    ) -> tuple[Float32[np.ndarray, " w"], Float32[np.ndarray, " w"]]:
        mean, variance = moments(pointer(x), (*x.shape, x[0].size), threads)
        gain = self._weight / np.sqrt(variance + EPS)
        return gain.astype(np.float32), (self._bias - mean * gain).astype(np.float32)


class SideBySide:
    """A bidirectional LSTM with as many features as units; see sequences.hpp."""

    def __init__(self, weights: Weights) -> None:
        self.units = weights.stored("weight_hh_l0").shape[1]
        self._pairs = kernels().pairs and self.units <= _MOST_UNITS
        self._packed, self._bias, self._products, self._scales = [], [], [], []
        for way in ("", "_reverse"):
            both = [weights[f"weight_{kind}_l0{way}"].T for kind in ("ih", "hh")]
            weight = np.concatenate(both)
            scale, third = _scale(weight), 2 * self.units // 3
            halves = [
                pack(half[None] * np.float32(scale), PAIRS) for half in np.split(weight, 2, axis=1)
            ]
            packed = np.stack(halves, axis=1)
            self._packed.append(packed)
            paired = packed[:, :, :third] * packed[:, :, third : 2 * third]
            self._products.append(np.ascontiguousarray(paired.sum(axis=2)))
            self._scales.append(1 / scale)
            bias = weights[f"bias_ih_l0{way}"] + weights[f"bias_hh_l0{way}"]
            halves = [pack_bias(half, PAIRS) for half in np.split(bias, 2)]
            self._bias.append(np.stack([half.reshape(-1, kernels().panel) for half in halves], 1))

    def __call__(
        self,
        x: Float32[np.ndarray, "sequences steps units"],
        gain: Float32[np.ndarray, " units"],
        shift: Float32[np.ndarray, " units"],
        out: Float32[np.ndarray, "sequences steps units2"],
        threads: int,
    ) -> None:
        """out <- states of both ways for x * gain + shift; x and out are any views with features
        side by side."""
        sequences, steps, _ = x.shape
        strides = [
            stride // 4 for view in (x, out) for stride in (view.strides[1], view.strides[0])
        ]
        of = Sequences(
            packed=(ctypes.c_void_p * 2)(*map(pointer, self._packed)),
            bias=(ctypes.c_void_p * 2)(*map(pointer, self._bias)),
            products=(ctypes.c_void_p * 2)(*(map(pointer, self._products) if self._pairs else ())),
            scale=(ctypes.c_float * 2)(*self._scales),
            gain=pointer(gain),
            shift=pointer(shift),
            entry=pointer(x),
            out=pointer(out),
            steps=steps,
            sequences=sequences,
            in_step=strides[0],
            in_sequence=strides[1],
            out_step=strides[2],
            out_sequence=strides[3],
            units=self.units,
        )
        kernels().sequences(ctypes.byref(of), threads)


def _scale(weight: Float32[np.ndarray, "k gates"]) -> float:
    """A power of two that brings weights about to the size of what comes in."""
    size = math.sqrt(np.mean(np.square(weight, dtype=np.float64)))
    return float(2.0 ** math.floor(math.log2(_SIZE / max(size, 1e-20))))
