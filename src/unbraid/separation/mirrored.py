"""A song with its beginning and its end mirrored outwards, block by block, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from unbraid.shapes import Float

Blocks = Iterable[Float[np.ndarray, "..."]]


def mirrored(blocks: Blocks, border: int) -> Iterator[np.ndarray]:
    """The song with `border` samples more on each side, reflected about its first and last sample.

    Args:
        blocks: (..., n), together longer than `border`.
        border: samples; 0 changes nothing.

    >>> np.concatenate(list(mirrored([np.array([1.0, 2, 3]), np.array([4.0])], 2)))
    array([3., 2., 1., 2., 3., 4., 3., 2.])
    """
    if border == 0:
        yield from blocks
        return
    start: list[np.ndarray] | None = []
    tail = None
    for block in blocks:
        tail = block if tail is None else np.concatenate([tail[..., -border:], block], axis=-1)
        if start is None:
            yield block
            continue
        start.append(block)
        if sum(part.shape[-1] for part in start) > border:
            known = np.concatenate(start, axis=-1)
            yield known[..., border:0:-1]
            yield known
            start = None
    if start:
        yield np.concatenate(start, axis=-1)  # too short; the reader says what was announced
    elif tail is not None:
        yield tail[..., -2 : -border - 2 : -1]


def cropped(blocks: Blocks, border: int, samples: int) -> Iterator[np.ndarray]:
    """What `mirrored` added taken off again: `samples` from sample `border` on.

    >>> np.concatenate(list(cropped([np.array([3.0, 2, 1, 2]), np.array([3.0, 4, 3, 2])], 2, 4)))
    array([1., 2., 3., 4.])
    """
    position = -border
    for block in blocks:
        kept = block[..., max(0, -position) : max(0, samples - position)]
        position += block.shape[-1]
        if kept.shape[-1]:
            yield kept


def fill_mirrored(song: Float[np.ndarray, "... n"], known: int) -> None:
    """Write the samples from `known` on in place: a reflection of those before them.

    Args:
        known: more than half of the samples.

    >>> song = np.array([1.0, 2, 3, 0, 0]); fill_mirrored(song, 3); song
    array([1., 2., 3., 2., 1.])
    """
    missing = song.shape[-1] - known
    song[..., known:] = song[..., known - 1 - missing : known - 1][..., ::-1]
