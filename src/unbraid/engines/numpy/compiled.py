"""Whether our own kernels do the heavy work, or numpy does all of it."""

from __future__ import annotations

import functools

from unbraid.engines.native.model import why_not_here


@functools.cache
def available() -> bool:
    """Whether our own kernels run here."""
    return why_not_here("cpu", "fp32") is None
