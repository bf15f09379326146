"""Where the frequency rows of a layer are split into bands: integers only."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from unbraid.errors import SettingsError


def encoder_bands(
    rows: int, splits: Sequence[float], kernel: int, stride: int
) -> Iterator[tuple[int, int]]:
    """The rows that each band of an encoder layer sees, before padding.

    >>> list(encoder_bands(2048, [0.1, 0.3], 8, 4))
    [(0, 206), (202, 614), (610, 2048)]
    """
    start, padding = 0, kernel // 4
    for split in splits:
        above = padding if start == 0 else 0
        # As near to the split as whole steps of the convolution come.
        steps = round((round(rows * split) - start + above - kernel) / stride + 1)
        stop = start + (steps - 1) * stride + kernel - above
        yield start, stop
        start = stop - kernel + stride
    yield start, rows


def decoder_bands(rows: int, splits: Sequence[float]) -> list[tuple[int, int]]:
    """The rows that each band of a decoder layer expands.

    >>> decoder_bands(128, [0.1, 0.3])
    [(0, 13), (13, 38), (38, 128)]
    """
    cuts = [0, *(round(rows * split) for split in splits), rows]
    return list(itertools.pairwise(cuts))


def check_splits(rows: int, splits: Sequence[float], kernel: int, stride: int) -> None:
    """Raise `SettingsError` if a layer over `rows` rows cannot be split so."""
    spans = list(encoder_bands(rows, splits, kernel, stride))
    inner = decoder_bands(rows // stride, splits)
    padded = [stop - start for start, stop in spans]
    padded[0] += kernel // 4
    padded[-1] += kernel // 4
    enough = min(padded) >= kernel
    if not enough or not all(stop > start for start, stop in inner):
        raise SettingsError(
            f"bands are shares of the frequency rows that grow from 0 to 1 and hold a kernel each, "
            f"got {tuple(splits)} of {rows} rows"
        )
