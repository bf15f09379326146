"""The parts of a RoFormer on a grid of tokens (bands, panels, width, frames of a panel); see
`kernels/axes.hpp` and `kernels/grid.hpp`."""

from __future__ import annotations

import ctypes
import itertools
import math
from collections.abc import Sequence
from ctypes import Structure, c_int, c_long, c_void_p
from dataclasses import dataclass

import numpy as np

from unbraid.engines.native.feed import Feed
from unbraid.engines.native.library import kernels, pointer
from unbraid.engines.native.slices import (
    EMPTY,
    Entrance,
    EntranceNorm,
    Matrix,
    Slices,
    array_of,
    root_mean_square,
)
from unbraid.engines.native.weights import Weights
from unbraid.shapes import Float32

Bands = Sequence[tuple[int, int]]
"""First bin and number of bins of each band."""


class AxisAttention(Structure):
    """`AxisAttention` of axes.hpp."""

    _fields_ = [
        ("qkv", Matrix),
        ("entrance", Entrance),
        *((name, c_void_p) for name in ("gates", "gate_bias", "turns", "x", "found")),
        *((name, c_long) for name in ("bands", "panels", "frames", "first", "count")),
        *((name, c_int) for name in ("heads", "depth")),
    ]


class BandEntrance(Structure):
    """`BandEntrance` of grid.hpp."""

    _fields_ = [("matrix", Matrix), ("entrance", Entrance), ("row", c_long)]


class BandMask(Structure):
    """`BandMask` of grid.hpp."""

    _fields_ = [
        *((name, c_void_p) for name in ("matrices", "gains")),
        ("entrance", Entrance),
        ("count", c_int),
        ("row", c_long),
    ]


class BandPlaces(Structure):
    """`BandPlaces` of grid.hpp."""

    _fields_ = [
        *((name, c_void_p) for name in ("starts", "places")),
        *((name, c_long) for name in ("bins", "rows")),
        *((name, c_int) for name in ("channels", "silence_dc")),
    ]


@dataclass(frozen=True)
class Grid:
    """Tokens (bands, panels, width, frames of a panel), of which the first `frames` count."""

    tokens: Float32[np.ndarray, "bands panels width lanes"]
    frames: int


class AxisLayer:
    """Gated attention along one axis, then feed-forward, each added to its input.

    Args:
        weights: of the two.
        last: factors of a norm that follows, or None.
    """

    def __init__(
        self, weights: Weights, heads: int, depth: int, along_time: bool, last: np.ndarray | None
    ) -> None:
        attention, feed = weights.under("0"), weights.under("1.net")
        self._heads, self._depth, self._along_time = heads, depth, along_time
        gamma = attention["norm.gamma"]
        width = len(gamma)
        self._qkv = Slices(attention.stored("to_qkv.weight"), order=_by_head(heads, depth))
        self._norm = EntranceNorm(gamma, width, self._qkv)
        self._gates = attention["to_gates.weight"] * gamma * np.float32(math.sqrt(width))
        self._gate_bias = attention["to_gates.bias"]
        self._rates = attention["rotary_embed.freqs"]
        wide = Slices(feed.stored("1.weight"), feed["1.bias"])
        self._feed = Feed(
            Slices(attention.stored("to_out.0.weight")),
            EntranceNorm(feed["0.gamma"], width, wide),
            wide,
            Slices(feed.stored("4.weight"), feed["4.bias"]),
            None if last is None else EntranceNorm(last, width, None),
        )
        self._turns: dict[int, np.ndarray] = {}

    def __call__(self, grid: Grid, found: Float32[np.ndarray, " n"], threads: int) -> None:
        """The tokens <- the layer's output, in parts for which `found` has room.

        Bands attend along time by themselves, frames along the bands.
        """
        rows = grid.tokens if self._along_time else grid.tokens.swapaxes(0, 1)
        count, others, _, lanes = rows.shape
        room = found.size // (others * self._heads * self._depth * lanes)
        for first in range(0, count, room):
            part = rows[first : first + room]
            self._attend(grid, found, first, len(part), threads)
            if self._along_time:
                part = part.reshape(1, -1, *part.shape[2:])
            self._feed(part, pointer(found), self._heads * self._depth, threads)

    def _attend(self, grid: Grid, found: np.ndarray, first: int, count: int, threads: int) -> None:
        """Found <- what some bands, or panels of frames, find."""
        x = grid.tokens
        bands, panels = x.shape[:2]
        of = AxisAttention(
            qkv=self._qkv.struct,
            entrance=self._norm.struct,
            gates=pointer(self._gates),
            gate_bias=pointer(self._gate_bias),
            turns=pointer(self._turns_for(panels if self._along_time else bands, x.shape[-1])),
            x=pointer(x),
            found=pointer(found),
            bands=bands,
            panels=panels,
            frames=grid.frames,
            first=first,
            count=count,
            heads=self._heads,
            depth=self._depth,
        )
        along = "attend_along_time" if self._along_time else "attend_along_bands"
        getattr(kernels(), along)(ctypes.byref(of), threads)

    def _turns_for(self, count: int, lanes: int) -> np.ndarray:
        """Cosines and sines: of so many panels along time, of so many bands along bands."""
        if count not in self._turns:
            places = np.arange(count * lanes if self._along_time else count, dtype=np.float32)
            angles = np.float64(places[:, None] * self._rates)
            turns = np.stack([np.cos(angles), np.sin(angles)], axis=-1).astype(np.float32)
            if self._along_time:
                turns = turns.reshape(count, lanes, -1, 2).transpose(0, 2, 3, 1)
            self._turns = {count: np.ascontiguousarray(turns)}
        return self._turns[count]


class BandEmbeddings:
    """Each band of a spectrum as a token: a norm and a linear map of its own."""

    def __init__(self, weights: Weights, bands: Bands, parts: int) -> None:
        self._matrices, self._norms, structs = [], [], []
        for number, (first, count) in enumerate(bands):
            inside = weights.under(f"band_split.to_features.{number}")
            matrix = Slices(inside.stored("1.weight"), inside["1.bias"])
            norm = EntranceNorm(inside["0.gamma"], parts * count, matrix)
            self._matrices.append(matrix)
            self._norms.append(norm)
            structs.append(BandEntrance(matrix.struct, norm.struct, parts * first))
        self._structs = array_of(structs)

    def __call__(self, spectrum: np.ndarray, tokens: np.ndarray, threads: int) -> None:
        """Tokens (bands, panels, width, lanes) <- spectrum (panels, rows, lanes)."""
        panels, rows, _ = spectrum.shape
        where = (pointer(spectrum), rows, panels, pointer(tokens))
        kernels().embed_bands(self._structs, len(self._structs), *where, threads)


class BandMasks:
    """The networks that make the mask of one stem.

    Args:
        parts: real and imaginary parts of all channels.
        layers: linear maps of each network.
        gamma: factors of a norm of the tokens before.
        normed: tokens come with this norm done.
    """

    def __init__(
        self,
        weights: Weights,
        bands: Bands,
        parts: int,
        layers: int,
        gamma: np.ndarray,
        *,
        normed: bool,
    ) -> None:
        row, structs = 0, []
        self._normed = normed
        self._held: list[object] = []
        for number, (_, count) in enumerate(bands):
            inside = weights.under(f"to_freqs.{number}.0")
            structs.append(self._network(inside, layers, gamma, row, parts * count))
            row += parts * count
        self.rows = row
        self._structs = array_of(structs)

    def _network(
        self, weights: Weights, layers: int, gamma: np.ndarray, row: int, outs: int
    ) -> BandMask:
        by_turns = np.arange(2 * outs).reshape(2, outs).T.reshape(-1)
        biases = [weights[f"{2 * layer}.bias"] for layer in range(layers)]
        matrices = [
            Slices(
                weights.stored(f"{2 * layer}.weight"),
                bias,
                by_turns if layer == layers - 1 else None,
            )
            for layer, bias in enumerate(biases)
        ]
        size = root_mean_square(gamma)
        norm = EntranceNorm(None if self._normed else gamma, len(gamma), matrices[0], size)
        gains = []
        for matrix, following in itertools.pairwise(matrices):
            wide = matrix.size_out(size)
            size = wide / math.sqrt(1 + wide * wide)  # tanh leaves about so much
            gains.append(following.gain_for(size))
        structs = array_of([matrix.struct for matrix in matrices])
        gain_array = np.array([*gains, 1], np.float32)
        self._held += [matrices, norm, structs, gain_array]
        where = (ctypes.addressof(structs), pointer(gain_array))
        return BandMask(*where, norm.struct, layers, row)

    def __call__(self, tokens: np.ndarray, masks: np.ndarray, threads: int) -> None:
        """Masks (panels, rows, lanes) <- tokens (bands, panels, width, lanes), of each band a part
        of more."""
        stride = tokens.strides[0] // tokens.strides[1]
        where = (pointer(tokens), stride, tokens.shape[1], pointer(masks), self.rows)
        kernels().mask_bands(self._structs, len(self._structs), *where, threads)


class MaskedSpectrum:
    """A spectrum times a mask: where bands overlap, times the mean of their masks."""

    def __init__(self, bands: Bands, bins: int, channels: int, silence_dc: bool) -> None:
        rows = np.concatenate([np.arange(first, first + count) for first, count in bands])
        self._places = np.ascontiguousarray(np.argsort(rows, kind="stable"), np.int64)
        counts = np.bincount(rows, minlength=bins)
        self._starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        where = (pointer(self._starts), pointer(self._places))
        self._struct = BandPlaces(*where, bins, 2 * channels * len(rows), channels, int(silence_dc))

    def __call__(
        self, spectrum: np.ndarray, masks: np.ndarray, out: np.ndarray, threads: int
    ) -> None:
        """Out <- spectrum, both (panels, rows, lanes), times masks (panels, band rows, lanes)."""
        where = (pointer(spectrum), pointer(masks), len(spectrum), pointer(out))
        kernels().mask_spectrum(ctypes.byref(self._struct), *where, threads)


def _by_head(heads: int, depth: int) -> np.ndarray:
    """Rows of queries, keys and values of each head together; each head fills whole slices."""
    rows = np.arange(3 * heads * depth).reshape(3, heads, depth).swapaxes(0, 1)
    rows = rows.reshape(heads, 3 * depth)
    missing = -rows.shape[1] % kernels().slice
    return np.pad(rows, ((0, 0), (0, missing)), constant_values=EMPTY).reshape(-1)
