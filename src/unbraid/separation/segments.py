"""Where segments start and stop. Integers only.

Positions are samples of the song: 0 is its first sample, and a negative position lies in the
silence before it. A *lane* is one row of segments over the whole song; each shift has a lane.

    song            0 ─────────────────────────── samples
    lane  start ┌────────────┐                  │
                         ┌────────────┐         │        start, start + stride, … < samples
                                  ┌─────────────┤        the last ones may be shorter
                                           ┌────┤
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from unbraid.errors import SettingsError


class Segment(NamedTuple):
    """The stretch [start, stop) of the song, segment the one of that `number` in its lane."""

    start: int
    stop: int
    number: int

    @property
    def length(self) -> int:
        """In samples."""
        return self.stop - self.start


def stride_samples(length: int, overlap: float) -> int:
    """From the start of one segment to the start of the next, in samples.

    Raises:
        SettingsError: if so short a segment cannot overlap so much.

    >>> stride_samples(10, 0.25)
    7
    """
    stride = int((1 - overlap) * length)
    if stride < 1:
        raise SettingsError(
            f"segments of {length} samples cannot overlap by {overlap:g}: the next would start "
            "at the same sample; use a longer segment or a smaller overlap"
        )
    return stride


def cut(start: int, samples: int, length: int, stride: int) -> Iterator[Segment]:
    """The segments of a lane from `start` (0 or before) to the end of a song of `samples`.

    Those that lie wholly before the song are left out, as nothing of them is kept; the others keep
    their numbers.

    >>> [segment[:2] for segment in cut(0, 20, 10, 7)]
    [(0, 10), (7, 17), (14, 20)]
    """
    for number, position in enumerate(range(start, samples, stride)):
        stop = min(position + length, samples)
        if stop > 0:
            yield Segment(position, stop, number)


def merge_lanes(starts: Iterable[int], samples: int, length: int, stride: int) -> Iterator[Segment]:
    """The segments of several lanes in the order of their starts, so that a song flows by once."""
    return heapq.merge(*(cut(start, samples, length, stride) for start in starts))


def in_batches(
    segments: Iterable[Segment], batch_size: int, alike: Callable[[Segment], object]
) -> Iterator[tuple[list[Segment], int | None]]:
    """Neighbours that are alike, at most `batch_size` at a time.

    Args:
        alike: equal for segments that may go through the model together.
    Yields:
        the segments of one forward pass, and the first sample that later ones will still need to
        add to (None after the last).
    """
    batch: list[Segment] = []
    for segment in segments:
        if batch and (len(batch) == batch_size or alike(segment) != alike(batch[0])):
            yield batch, segment.start
            batch = []
        batch.append(segment)
    if batch:
        yield batch, None


def extend(segment: Segment, length: int) -> tuple[int, int]:
    """(start, stop) of the segment with its neighbourhood: `length` samples around the same centre.

    An odd sample goes to the right.

    >>> extend(Segment(100, 110, 0), 13)
    (99, 112)
    """
    start = segment.start - (length - segment.length) // 2
    return start, start + length
