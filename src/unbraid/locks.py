"""Locks on files. The operating system releases a lock when its process ends, however it ends.

File systems without locks get a marker file instead (see the package `filelock`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unbraid.closing import Closing

if TYPE_CHECKING:
    from filelock import FileLock

_POLL_S = 0.02


class HeldLock(Closing):
    """A lock that this process holds until `close()`, which any thread may call."""

    def __init__(self, lock: FileLock) -> None:
        self._lock = lock

    def close(self) -> None:
        """Release the lock; its file stays. Calling it twice is fine."""
        self._lock.release()


def try_lock(path: Path) -> HeldLock | None:
    """Lock a file, which is made if need be; None if another process or object holds it.

    Raises:
        OSError: if the file cannot be made or opened.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with try_lock(Path(folder, "lock")):
    ...         print(try_lock(Path(folder, "lock")))
    None
    """
    lock = _lock_of(path, timeout_s=0)
    try:
        lock.acquire()
    except _filelock().Timeout:
        return None
    return HeldLock(lock)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, which is made if need be; waits while another process has it.

    Raises:
        OSError: if the file cannot be made or opened.
    """
    with _lock_of(path).acquire(poll_interval=_POLL_S):
        yield


def _lock_of(path: Path, timeout_s: float = -1) -> FileLock:
    """A lock that any thread may release; -1 waits as long as it takes."""
    lock: FileLock = _filelock().FileLock(path, timeout_s, thread_local=False)
    return lock


def _filelock() -> Any:
    """The package, loaded with the first lock: it brings asyncio along, which delays a start."""
    import filelock

    return filelock
