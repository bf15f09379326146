"""A model's weights by name, and the residual branches made of them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Mapping, Set
from typing import TypeVar

import numpy as np

from unbraid.engines.native.library import Branch, kernels, pointer
from unbraid.engines.native.packing import PAIRS, gate_panels, pack, pack_bias
from unbraid.engines.native.products import Product

T = TypeVar("T")

EPS = 1e-5
"""Of torch's GroupNorm."""


class Weights:
    """Those whose names begin with a prefix; `HybridDemucs.state_dict()` names them."""

    def __init__(
        self,
        state: Mapping[str, np.ndarray],
        prefix: str = "",
        parts: Set[str] | None = None,
    ) -> None:
        self._state, self._prefix = state, prefix
        self._parts = _prefixes(state) if parts is None else parts

    def under(self, name: str) -> Weights:
        """Those of a part of the model."""
        return Weights(self._state, f"{self._prefix}{name}.", self._parts)

    def stored(self, name: str) -> np.ndarray:
        """As it is kept, in whatever float type."""
        return self._state[self._prefix + name]

    def __getitem__(self, name: str) -> np.ndarray:
        """As float32, a copy: the state may lie in a file that is closed again."""
        return np.array(self._state[self._prefix + name], np.float32, order="C")

    def __contains__(self, name: str) -> bool:
        return self._prefix + name in self._state

    def get(self, name: str) -> np.ndarray | None:
        """As float32; None if there is none of this name."""
        return self[name] if self._prefix + name in self._state else None

    def has(self, name: str) -> bool:
        """Whether there is such a part."""
        return f"{self._prefix}{name}." in self._parts

    def count(self, name: str) -> int:
        """How many numbered parts there are under a name."""
        number = 0
        while self.has(f"{name}.{number}"):
            number += 1
        return number


def _prefixes(names: Iterable[str]) -> Set[str]:
    """Of all names, each up to any of its dots."""
    return {name[: place + 1] for name in names for place, sign in enumerate(name) if sign == "."}


def _gram(x: np.ndarray) -> np.ndarray:
    """x x^T. Not by numpy, whose threads would wait for more to do while the kernels compute."""
    x = np.ascontiguousarray(x)
    rows, depth = x.shape
    found = np.empty((rows, rows), np.float32)
    product = Product(x.T[None], None)
    product([pointer(x)], depth, rows, pointer(found), rows, threads=1)
    return found


class PackedBranch:
    """One residual branch; `struct` points into arrays that this object holds."""

    def __init__(self, weights: Weights, dilation: int) -> None:
        squeeze = weights.stored("squeeze.weight")  # (hidden, width, 3)
        hidden, width, _ = squeeze.shape
        self.width, self.hidden, self.dilation = width, hidden, dilation
        lanes = kernels().lanes
        narrow = 2 * hidden <= lanes
        packed = pack(squeeze.transpose(2, 1, 0), compact=not narrow)
        self.stride = lanes // 2 if narrow else -(-hidden // lanes) * lanes
        expand = weights["expand.weight"][:, :, 0].T  # (hidden, 2 width)
        scale = np.concatenate([weights["scale.scale"], np.ones(width, np.float32)])
        covering = np.zeros((self.stride, self.stride))
        covering[:hidden, :hidden] = _gram(expand)
        self._held = {
            "squeeze": packed,
            "squeeze_bias": pack_bias(weights["squeeze.bias"]),
            "norm_weight": pack_bias(weights["squeeze_norm.weight"]),
            "norm_bias": pack_bias(weights["squeeze_norm.bias"]),
            "expand": pack(expand[None], PAIRS),
            "expand_bias": pack_bias(weights["expand.bias"], PAIRS),
            "gain": pack_bias(weights["expand_norm.weight"] * scale, PAIRS),
            "offset": pack_bias(weights["expand_norm.bias"] * scale, PAIRS),
            "covering": covering,
        }
        self.struct = Branch(
            **{name: pointer(array) for name, array in self._held.items()},
            width=width,
            hidden=hidden,
            stride=self.stride,
            dilation=dilation,
            gate_panels=gate_panels(width),
            squeeze_bytes=packed.itemsize,
            squeeze_eps=EPS,
            expand_eps=EPS,
        )

    def squeeze(self, y: int, steps: int, h: np.ndarray, threads: int) -> None:
        """h (steps, stride) <- what there is before LSTM and attention. `y` is an address."""
        kernels().squeeze(ctypes.byref(self.struct), y, steps, pointer(h), threads)

    def expand(self, h: np.ndarray, steps: int, y: int, threads: int) -> None:
        """y <- y + what the branch adds."""
        kernels().expand(ctypes.byref(self.struct), pointer(h), steps, y, threads)


def numbered_branches(
    weights: Weights, dilated: bool, kind: Callable[[Weights, int], T]
) -> list[T]:
    """The residual branches of a layer, each made of its weights and its dilation; none if it has
    none."""
    return [
        kind(weights.under(f"residual.branches.{number}"), 2**number if dilated else 1)
        for number in range(weights.count("residual.branches"))
    ]
