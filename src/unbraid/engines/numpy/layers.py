"""Convolutions of stride 2, and back, on images (rows, columns, features) with zeros around them.

Along rows Winograd's filters save products; along columns a kernel is one long row of A, since the
features of neighbouring pixels lie side by side. An even and an odd kernel row meet an even and an
odd row of the image, so a kernel of 5 rows and stride 2 is a filter of 3 taps and one of 2.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from unbraid.engines.numpy import compiled
from unbraid.engines.numpy.products import Products
from unbraid.engines.numpy.team import Team
from unbraid.engines.numpy.winograd import filter_matrices
from unbraid.shapes import Float, Float32

BEFORE, AFTER = 1, 3
"""Zeros around the image that a convolution reads; rows: 1 and 2."""
_TILE = 4
_FEW = 1 << 21
"""Weights of a layer that Winograd may double: more would not fit into the caches, nor memory."""
_BLOCK = 1 << 17
"""Floats of mixed rows that are worked on at once, about."""


def image(rows: int, columns: int, width: int) -> Float32[np.ndarray, "h w c"]:
    """An image of zeros with the margins that both kinds of layer need."""
    return np.zeros((rows + 3, columns + BEFORE + AFTER, width), np.float32)


def inside(padded: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """What is not margin."""
    return padded[1 : 1 + rows, BEFORE : BEFORE + columns]


Norm = tuple[Float32[np.ndarray, " o"], Float32[np.ndarray, " o"]]
"""Factor and offset of each feature."""


def make_down(weight: np.ndarray, bias: np.ndarray, norm: Norm | None) -> Callable[..., None]:
    """A `Down`; by our own kernels, where they are there."""
    if not compiled.available():
        return Down(weight, bias, norm)
    from unbraid.engines.native import filters

    layer = filters.Down(weight, bias, norm)
    return lambda x, size, skip, to, team: layer(inside(x, *size), skip, to, team.threads)


def make_up(weight: np.ndarray, bias: np.ndarray, norm: Norm) -> Callable[..., None]:
    """An `Up`; by our own kernels, where they are there."""
    if not compiled.available():
        return (LastUp if weight.shape[1] == 1 else Up)(weight, bias, norm)
    from unbraid.engines.native import filters

    layer = filters.Up(weight, bias, norm)
    return lambda x, size, to, team: layer(inside(x, *size), to, team.threads)


class Down:
    """`conv2d(pad(x, 1 before, 2 after), weight, bias, stride=2)` for a 5x5 kernel, then norm and
    leaky ReLU.

    Args:
        weight: (out, in, 5, 5).
        bias: (out,).
        norm: None where the layer ends with its convolution.
    """

    def __init__(
        self,
        weight: Float[np.ndarray, "o i 5 5"],
        bias: Float[np.ndarray, " o"],
        norm: Norm | None,
    ) -> None:
        self.outs, self.ins = weight.shape[:2]
        self.bias, self._norm = bias.astype(np.float32), norm
        self._tile = _TILE if weight.size <= _FEW else 1
        even, odd = filter_matrices(self._tile, 3), filter_matrices(self._tile, 2)
        self._even, self._odd = (part.mix.astype(np.float32) for part in (even, odd))
        self._join = np.concatenate([even.join, odd.join], 1).astype(np.float32)
        kernel = weight.transpose(2, 3, 1, 0).reshape(5, 5 * self.ins, self.outs)
        taps = [*_mixed(even.taps, kernel[0::2]), *_mixed(odd.taps, kernel[1::2])]
        self._count = len(taps)
        self._products = Products(taps)

    def __call__(
        self,
        x: Float32[np.ndarray, "h w c"],
        size: tuple[int, int],
        skip: Float32[np.ndarray, "n v o"],
        to: Float32[np.ndarray, "n v o"] | None,
        team: Team,
    ) -> None:
        """Halve an image with margins, of `size` without them: `skip` <- what the convolution
        gives, `to` <- what norm and activation make of it."""

        def run(rows: range) -> None:
            y = self._convolved(x, rows)
            skip[rows.start : rows.stop] = y
            if to is not None and self._norm is not None:
                y = y * self._norm[0]
                y += self._norm[1]
                np.maximum(y, np.float32(0.2) * y, out=to[rows.start : rows.stop])

        rows, columns = size
        team.spread(run, _blocks(rows // 2, self._tile, self._count * (columns + 4) * self.ins))

    def _convolved(self, x: np.ndarray, rows: range) -> Float32[np.ndarray, "m v o"]:
        tiles, tile = len(rows) // self._tile, self._tile
        pitch = x.shape[1] * self.ins
        evens, count = len(self._even), self._count
        mixed = np.empty((count, tiles, pitch), np.float32)
        flat = x.reshape(len(x), pitch)
        for number in range(tiles):
            first = 2 * (rows.start + number * tile)
            seen = flat[first : first + 2 * (tile + 2)]
            np.matmul(self._even, seen[0 : 2 * evens : 2], out=mixed[:evens, number])
            np.matmul(self._odd, seen[1 : 2 * (count - evens) : 2], out=mixed[evens:, number])
        wide = x.shape[1] // 2
        made = np.empty((count, tiles * wide, self.outs), np.float32)
        made[:, -2:] = 0  # under the margin: not computed, never read, but a number
        self._products(
            mixed.reshape(count, -1), 2 * self.ins, tiles * wide,
            made.reshape(count, -1), 0, self.outs,
        )  # fmt: skip
        joined = np.empty((tiles, tile, wide * self.outs), np.float32)
        for number in range(tiles):
            part = made[:, number * wide : (number + 1) * wide].reshape(count, -1)
            np.matmul(self._join, part, out=joined[number])
        out = joined.reshape(len(rows), wide, self.outs)[:, : wide - 2]
        out += self.bias
        return out


class Up:
    """`conv_transpose2d(x, weight, bias, stride=2)` for a 5x5 kernel, 1 cut off before, 2
    after, then ReLU and norm.

    Args:
        weight: (in, out, 5, 5).
        bias: (out,).
        norm: of each feature.
    """

    def __init__(
        self, weight: Float[np.ndarray, "i o 5 5"], bias: Float[np.ndarray, " o"], norm: Norm
    ) -> None:
        self.ins, self.outs = weight.shape[:2]
        self.bias, self._norm = bias.astype(np.float32), norm
        self._tile = _TILE if weight.size <= _FEW else 1
        odd, even = filter_matrices(self._tile, 3), filter_matrices(self._tile, 2)
        count, self._odds = len(odd.mix) + len(even.mix), len(odd.mix)
        self._mix = np.zeros((count, self._odds), np.float32)
        self._mix[: self._odds] = odd.mix
        self._mix[self._odds :, : len(even.mix)] = even.mix
        self._join = np.zeros((2 * self._tile, count), np.float32)
        self._join[0::2, self._odds :] = even.join
        self._join[1::2, : self._odds] = odd.join
        # Rows of the kernel from the last to the first: the first meets the latest row.
        kernel = weight[:, :, ::-1, ::-1].transpose(2, 3, 0, 1)
        taps = [*_mixed(odd.taps, kernel[0::2]), *_mixed(even.taps, kernel[1::2])]
        self._odd = Products([_rows(tap[0::2]) for tap in taps])
        self._even = Products([_rows(tap[1::2]) for tap in taps])

    def __call__(
        self,
        x: Float32[np.ndarray, "h w c"],
        size: tuple[int, int],
        to: Float32[np.ndarray, "n v o"],
        team: Team,
    ) -> None:
        """Double an image with margins, of `size` without them, into `to`."""
        rows, columns = size
        blocks = _blocks(rows, self._tile, len(self._mix) * (columns + 4) * self.ins)
        team.spread(lambda some: _finish(self._convolved(x, some), self._norm, some, to), blocks)

    def _convolved(self, x: np.ndarray, rows: range) -> Float32[np.ndarray, "m v o"]:
        tiles, tile = len(rows) // self._tile, self._tile
        wide, count = x.shape[1], len(self._mix)
        pitch = wide * self.ins
        flat = x.reshape(len(x), pitch)
        mixed = np.empty((count, tiles, pitch), np.float32)
        for number in range(tiles):
            first = rows.start + number * tile
            np.matmul(self._mix, flat[first : first + self._odds], out=mixed[:, number])
        made = np.empty((count, tiles * wide, 2 * self.outs), np.float32)
        made[:, -2:] = 0  # as in `Down`
        for side, products in enumerate((self._even, self._odd)):
            products(
                mixed.reshape(count, -1), self.ins, tiles * wide,
                made.reshape(count, -1), side * self.outs, 2 * self.outs,
            )  # fmt: skip
        joined = np.empty((tiles, 2 * tile, 2 * wide * self.outs), np.float32)
        for number in range(tiles):
            part = made[:, number * wide : (number + 1) * wide].reshape(count, -1)
            np.matmul(self._join, part, out=joined[number])
        out = joined.reshape(2 * len(rows), 2 * wide, self.outs)[:, : 2 * (wide - 4)]
        out += self.bias
        return out


class LastUp:
    """`Up` for one feature: each pixel times all 25 taps, then added where they belong."""

    def __init__(
        self, weight: Float[np.ndarray, "i 1 5 5"], bias: Float[np.ndarray, " 1"], norm: Norm
    ) -> None:
        self.ins, self.outs = weight.shape[0], 1
        self.bias, self._norm = np.float32(bias[0]), norm
        self._products = Products([weight.reshape(self.ins, 25)])

    def __call__(
        self,
        x: Float32[np.ndarray, "h w c"],
        size: tuple[int, int],
        to: Float32[np.ndarray, "n v 1"],
        team: Team,
    ) -> None:
        """As `Up`."""
        rows, columns = size
        blocks = _blocks(rows, _TILE, (columns + 4) * 25)
        team.spread(lambda some: _finish(self._convolved(x, some), self._norm, some, to), blocks)

    def _convolved(self, x: np.ndarray, rows: range) -> Float32[np.ndarray, "m v o"]:
        wide, count = x.shape[1], len(rows)
        made = np.zeros(((count + 2), wide, 25), np.float32)
        start = rows.start * wide * self.ins
        self._products(
            x.reshape(1, -1)[:, start:], self.ins, (count + 2) * wide, made.reshape(1, -1), 0, 25
        )
        planes = np.ascontiguousarray(made.transpose(2, 0, 1)).reshape(5, 5, count + 2, wide)
        columns = wide - 4
        out = np.empty((count, 2, columns, 2), np.float32)
        for row, column in np.ndindex(2, 2):
            # Row 2 q + 1 sees kernel rows 0, 2, 4 of input rows q + 1, q, q - 1; row 2 q rows 1, 3.
            total = np.full((count, columns), self.bias, np.float32)
            for k, up in _TAPS[row]:
                for j, left in _TAPS[column]:
                    total += planes[k, j, up : up + count, left : left + columns]
            out[:, row, :, column] = total
        return out.reshape(2 * count, 2 * columns, 1)


_TAPS = {0: ((1, 1), (3, 0)), 1: ((0, 2), (2, 1), (4, 0))}
"""Of output rows 2 q and 2 q + 1: kernel rows, and which input row each meets, from q - 1 on."""


def _finish(y: np.ndarray, norm: Norm, rows: range, to: np.ndarray) -> None:
    """to <- norm(relu(y)), the two output rows of each input row."""
    y = np.maximum(y, np.float32(0)) * norm[0]
    np.add(y, norm[1], out=to[2 * rows.start : 2 * rows.stop])


def _mixed(mixing: np.ndarray, taps: np.ndarray) -> list[np.ndarray]:
    """Mixed rows of a kernel; those of a plain filter as they are, float16 too."""
    if np.array_equal(mixing, np.eye(len(mixing))):
        return list(taps)
    flat = mixing @ taps.reshape(len(taps), -1).astype(np.float64)
    return list(flat.astype(np.float32).reshape(len(mixing), *taps.shape[1:]))


def _rows(tap: np.ndarray) -> np.ndarray:
    """(columns, in, out) -> (columns * in, out)."""
    return tap.reshape(-1, tap.shape[-1])


def _blocks(rows: int, tile: int, floats_per_tile: int) -> list[range]:
    step = max(1, _BLOCK // floats_per_tile) * tile
    return [range(first, min(first + step, rows)) for first in range(0, rows, step)]
