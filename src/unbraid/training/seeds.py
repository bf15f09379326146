"""Named randomness: every draw of a run comes from a generator for its purpose.

No draw depends on earlier ones, so draws can be repeated without stored state: after a crash, or in
another process.
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
