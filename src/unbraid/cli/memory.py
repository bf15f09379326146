"""How the process gets and frees memory: large pages, and when cycles of objects are looked for."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager


def use_large_pages() -> None:
    """Let torch ask Linux for pages of 2 MB for its tensors; set before it is imported.

    A fresh tensor costs a page fault for every 4 kB otherwise, which took 40 % of the CPU time of a
    large model here. What the user has set stays.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


@contextmanager
def no_collection() -> Iterator[None]:
    """Import and open here what lasts as long as the process.

    Python would look through all of it for garbage again and again, for a tenth of the time until
    a song is separated. Later collections leave out what is there at the end; `gc.unfreeze()`
    includes it again.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
