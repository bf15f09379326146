"""Randomness by name: every draw of a run comes from a generator that says what it is for.

Nothing depends on what was drawn before, so nothing has to be remembered to draw it again: not
after a crash, not in another process.
"""

from __future__ import annotations

import hashlib

import torch


def generator_of(seed: int, *purpose: str | int) -> torch.Generator:
    """A CPU generator for one purpose, the same for the same arguments everywhere.

    >>> a, b = generator_of(42, "order", 3), generator_of(42, "order", 3)
    >>> bool(torch.rand(1, generator=a) == torch.rand(1, generator=b))
    True
    """
    digest = hashlib.sha256(repr((seed, *purpose)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
