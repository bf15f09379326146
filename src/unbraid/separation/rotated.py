"""A song rotated by some samples, block by block, and back: its last samples come first.

Segments then lie elsewhere in the song, and what is at its ends is in the middle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from unbraid.shapes import Float

Blocks = Iterable[Float[np.ndarray, "..."]]


def rotations(samples: int, count: int) -> list[int]:
    """By how much a song is rotated, so many times, in equal steps; last not at all.

    >>> rotations(10, 3)
    [6, 3, 0]
    """
    return [number * (samples // count) for number in reversed(range(count))]


def rotated(blocks: Callable[[], Blocks], samples: int, by: int) -> Iterator[np.ndarray]:
    """The song with its last `by` samples first.

    Args:
        blocks: gives the song from its start each time it is called, in blocks (..., n).
        samples: length of the song.

    >>> np.concatenate(list(rotated(lambda: [np.array([1.0, 2]), np.array([3.0, 4, 5])], 5, 2)))
    array([4., 5., 1., 2., 3.])
    """
    if by == 0:
        yield from blocks()
        return
    position = by - samples  # of the next block in the rotated song
    for block in blocks():
        kept = block[..., max(0, -position) :]
        position += block.shape[-1]
        if kept.shape[-1]:
            yield kept
    left = samples - by
    for block in blocks():
        if left <= 0:
            return
        yield block[..., :left]
        left -= block.shape[-1]


def placed(blocks: Blocks, samples: int, by: int) -> Iterator[tuple[int, np.ndarray]]:
    """Where blocks of the rotated song belong in the song; one that holds its start is cut there.

    >>> [(at, x.tolist()) for at, x in placed([np.array([4.0, 5, 1]), np.array([2.0, 3])], 5, 2)]
    [(3, [4.0, 5.0]), (0, [1.0]), (1, [2.0, 3.0])]
    """
    position = (samples - by) % samples
    for block in blocks:
        cut = samples - position
        for part in (block[..., :cut], block[..., cut:]):
            if part.shape[-1]:
                yield position, part
                position = (position + part.shape[-1]) % samples
