"""Counts in sentences."""

from __future__ import annotations


def counted(count: int, one: str, many: str = "") -> str:
    """A count and its noun, whose plural ends in s unless given.

    >>> counted(1, "track"), counted(0, "track"), counted(3, "mix", "mixes")
    ('1 track', '0 tracks', '3 mixes')
    """
    return f"{count} {one if count == 1 else many or f'{one}s'}"
