"""Where unbraid keeps what it can make or fetch again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """`UNBRAID_CACHE`, else `unbraid` below `XDG_CACHE_HOME` or `~/.cache`; it need not exist."""
    own = os.environ.get("UNBRAID_CACHE")
    if own:
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "unbraid"


def is_there(path: Path) -> bool:
    """Whether something is at this path; False, too, where the system does not let us look.

    (Before Python 3.14 `Path.exists` raises there. With `sudo -u` and `su` the cache is often that
    of another user.)
    """
    return os.path.exists(path)  # noqa: PTH110
