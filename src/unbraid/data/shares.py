"""Shares of a global batch, for training by several processes.

Random numbers are drawn for the whole batch, and each process uses those of its share: so four
processes with the same generator do to their shares what one does to all.
"""

from __future__ import annotations

from torch import Tensor

Share = tuple[int, int]
"""Which share of the global batch this is (from 0), and how many there are."""

WHOLE: Share = (0, 1)


def shared(drawn: Tensor, share: Share) -> Tensor:
    """The part of what was drawn that belongs to this share, along the first axis."""
    number, of = share
    size = drawn.shape[0] // of
    return drawn[number * size : (number + 1) * size]
