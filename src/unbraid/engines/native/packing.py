"""Weights in the order in which the kernels read them: panels of two vectors, row after row.

Columns that belong together, as values and their gates or the four gates of an LSTM, take turns
vector by vector.
"""

from __future__ import annotations

import numpy as np

from unbraid.engines.native.library import aligned, kernels, pointer
from unbraid.engines.native.winograd import INPUT_SIZES, MIXING
from unbraid.shapes import Float
from unbraid.threads import processors

PAIRS, FOURS = 2, 4
"""How many groups of columns take turns: values and gates; the gates of an LSTM."""

PAIR_DEPTH = 128
"""Values of a hop, or of a group of rows, from which on two outputs of a strided filter are faster
together, by measurement."""

_MANY = 1 << 17
"""Weights that do not stay in the second cache: there, half as much to fetch is faster."""

_MANY_MIXED = 1 << 20
"""Weights of 3x3 from which on they are mixed when they are needed."""


def gate_panels(width: int) -> int:
    """How many panels a number of gated features fills."""
    return -(-width // kernels().lanes)


def pack(
    weight: Float[np.ndarray, "taps depth *columns"],
    turns: int = 1,
    vectors: int = 2,
    *,
    compact: bool = False,
    many: int = _MANY,
) -> Float[np.ndarray, "p k w"]:
    """Panels of (taps * depth) rows; zero where the last one is not full.

    Args:
        weight: any view, float16 or float32: it is read where it lies. More than one axis of
            columns count as one.
        turns: groups of columns that take turns, vector by vector.
        vectors: in a panel.
        compact: leave weights of half precision as they are, if there are `many`; what reads them
            must know.
    """
    weight = _readable(weight)
    taps, depth = weight.shape[:2]
    offsets = _in_turns(_column_offsets(weight), turns, vectors)
    width = vectors * kernels().lanes
    half = compact and weight.dtype == np.float16 and weight.size >= many
    shape = (len(offsets) // width, taps * depth, width)
    packed = aligned(*shape, dtype=np.float16 if half else np.float32)
    kernels().pack(
        *_source(weight),
        pointer(offsets),
        len(packed),
        width,
        *_steps(weight),
        pointer(packed),
        packed.itemsize,
        _threads(),
    )
    return packed


def pack_pair(weight: Float[np.ndarray, "two depth *columns"]) -> Float[np.ndarray, "p k w"]:
    """The taps of a filter as `pairs.hpp` wants them: their sum, then each of them, in float32."""
    first, second = weight.astype(np.float32)
    return pack(np.stack([first + second, first, second]))


def pack_mixed(
    weight: Float[np.ndarray, "taps depth two_c"], mixing: Float[np.ndarray, "outs taps"]
) -> Float[np.ndarray, "outs p k w"]:
    """For each row of `mixing` the taps so mixed, in gated panels of `depth` rows."""
    weight = _readable(weight)
    offsets = _in_turns(_column_offsets(weight), PAIRS, 2)
    width, outs = kernels().panel, len(mixing)
    mixing = np.ascontiguousarray(mixing, np.float32)
    packed = aligned(outs, len(offsets) // width, weight.shape[1], width)
    kernels().pack_mixed(
        *_source(weight),
        pointer(offsets),
        packed.shape[1],
        *_steps(weight),
        pointer(mixing),
        outs,
        pointer(packed),
        _threads(),
    )
    return packed


class MixedWeights:
    """Weights of a gate, mixed for Winograd's algorithm; scaled for pairs where these are faster.

    Args:
        weight: (taps, depth, gated columns), any view.
        mixing: (outs, taps).
        sizes: (outs,), how large the inputs are that each is multiplied with.
        later: leave mixing to the kernels, which mix what they need when they need it: many weights
            take longer to be written, and fetched again, than to be mixed.
    """

    def __init__(
        self,
        weight: Float[np.ndarray, "taps depth two_c"],
        mixing: Float[np.ndarray, "outs taps"],
        sizes: Float[np.ndarray, " outs"],
        *,
        later: bool,
    ) -> None:
        self._arrays: dict[str, np.ndarray] = {}
        self._bytes = 0
        if kernels().pairs:
            self._arrays["sizes"] = np.ascontiguousarray(sizes, np.float32)
        if later:
            self._arrays["taps"] = pack(weight, PAIRS, compact=True, many=0)
            self._bytes = self._arrays["taps"].itemsize
        else:
            self._arrays["packed"] = pack_mixed(weight, mixing)
            if kernels().pairs:
                self._scale()

    def _scale(self) -> None:
        packed, sizes = self._arrays["packed"], self._arrays["sizes"]
        outs, panels, depth, width = packed.shape
        products, undo = aligned(outs, panels, width), np.empty(outs, np.float32)
        self._arrays |= {"products": products, "undo": undo}
        to = pointer(products), pointer(undo)
        shape = (outs, panels, depth)
        kernels().scale_mixed(pointer(packed), *shape, pointer(sizes), *to, _threads())

    @classmethod
    def of_maps(cls, kernel: Float[np.ndarray, "o i 3 3"]) -> MixedWeights:
        """Of a convolution along both axes."""
        taps = kernel.reshape(*kernel.shape[:2], 9).transpose(2, 1, 0)
        sizes = np.kron(INPUT_SIZES, INPUT_SIZES)
        return cls(taps, np.kron(MIXING, MIXING), sizes, later=kernel.size >= _MANY_MIXED)

    def fields(self) -> dict[str, int]:
        """Those of `Winograd` that point here."""
        return {name: pointer(x) for name, x in self._arrays.items()} | {"bytes": self._bytes}


def _readable(weight: np.ndarray) -> np.ndarray:
    """Of a type that the kernels read."""
    return weight if weight.dtype in (np.float16, np.float32) else weight.astype(np.float32)


def _source(weight: np.ndarray) -> tuple[int, int]:
    """Address and size of a weight."""
    return weight.ctypes.data, weight.itemsize


def _steps(weight: np.ndarray) -> tuple[int, ...]:
    """Taps, depth, and how far apart they are, in elements."""
    return (*weight.shape[:2], *(stride // weight.itemsize for stride in weight.strides[:2]))


def _threads() -> int:
    return min(2, len(processors()))  # a copy: more threads wait for the memory


def pack_bias(bias: Float[np.ndarray, " n"], turns: int = 1) -> Float[np.ndarray, " m"]:
    """One value for each column of packed panels."""
    return pack(bias[None, None], turns).reshape(-1)


def _column_offsets(weight: np.ndarray) -> np.ndarray:
    """In elements from the first."""
    offsets = np.zeros(1, np.int64)
    for count, stride in zip(weight.shape[2:], weight.strides[2:], strict=True):
        steps = np.arange(count, dtype=np.int64) * (stride // weight.itemsize)
        offsets = (offsets[:, None] + steps).reshape(-1)
    return offsets


def _in_turns(offsets: np.ndarray, turns: int, vectors: int) -> np.ndarray:
    """Those of packed columns in their order; the smallest number where there is none."""
    lanes, width = kernels().lanes, len(offsets) // turns
    every = vectors // turns or 1  # blocks must fill whole panels
    blocks = -(-width // (lanes * every)) * every
    padded = np.full((turns, blocks * lanes), np.iinfo(np.int64).min, np.int64)
    padded[:, :width] = offsets.reshape(turns, width)
    return np.ascontiguousarray(padded.reshape(turns, blocks, lanes).swapaxes(0, 1).reshape(-1))
