"""Claims: which worker has which song, as files in a shared folder.

A claim is a file that one worker makes in one atomic step, and touches as long as it works. When a
worker dies, its claims are no longer touched; after the lease another worker takes them over. Ages
are measured by the clock of the file system, so the clocks of the machines may differ. Clocks may
also jump, and machines sleep: a claim is taken over only if it also stayed the same for half a
lease while this worker looked on.
"""

from __future__ import annotations

import hashlib
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from unbraid.batch.journal import naming_state
from unbraid.closing import Closing
from unbraid.locks import locked

LEASE_S = 60.0
"""A claim that was not renewed for so long belongs to a worker that died."""
_DRAFT, _PROBE = ".draft", ".now"


class Claim(Closing):
    """One song, held until `close()`.

    Args:
        path: the file of the claim.
        owner: the worker that holds it.
    """

    def __init__(self, path: Path, owner: str) -> None:
        self._path, self._owner = path, owner

    def is_held(self) -> bool:
        """Whether the claim is still ours: a worker that slept too long may have lost it."""
        return _owner_of(self._path) == self._owner

    def renew(self) -> None:
        """Say that the worker is alive."""
        if self.is_held():
            os.utime(self._path)

    def close(self) -> None:
        """Give the song back."""
        if self.is_held():
            self._path.unlink(missing_ok=True)


class Claims(Closing):
    """The claims of one worker in a shared folder; a thread renews them until `close()`.

    Args:
        folder: where all workers keep their claims; made if needed.
        owner: a name of this worker that no other has; None makes one.
        lease_s: seconds after which a claim that is not renewed is free; the same for all workers.
        clock: seconds, for tests.
    Raises:
        UnbraidError: here and in `take`, if the folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        owner: str | None = None,
        lease_s: float = LEASE_S,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        with naming_state(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self.owner = owner or f"{platform.node()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._folder, self._lease_s = folder, lease_s
        self._held: dict[Path, Claim] = {}
        self._clock = clock
        self._seen: dict[Path, tuple[int, float]] = {}
        self._closed = threading.Event()
        self._renewer = threading.Thread(target=self._keep_renewing, daemon=True)
        self._renewer.start()

    def take(self, key: str) -> Claim | None:
        """Claim a song; None while another worker has it."""
        path = self._folder / f"{short_digest(key)}.claim"
        with naming_state(self._folder):
            if not self._make(path, key) and not self._take_over(path, key):
                return None
        claim = Claim(path, self.owner)
        self._held[path] = claim
        return claim

    def release(self, claim: Claim) -> None:
        """Give a song back."""
        self._held.pop(claim._path, None)
        claim.close()

    def close(self) -> None:
        """Give all songs back."""
        self._closed.set()
        self._renewer.join()
        for claim in list(self._held.values()):
            self.release(claim)

    def give_up(self, owner: str) -> set[str]:
        """Free the songs of a worker that is known to be dead; returns their keys."""
        keys = set()
        for path in sorted(self._folder.glob("*.claim")):
            text = _read(path)
            if text is not None and text.partition("\n")[0] == owner:
                keys.add(text.partition("\n")[2])
                path.unlink(missing_ok=True)
        return keys

    def clear(self, keys: Collection[str]) -> None:
        """Remove what dead workers have left of songs that are settled, so that nobody took it."""
        now = _now(self._folder)
        for path in self._folder.iterdir():
            is_theirs = path.suffix in (_DRAFT, _PROBE)
            if path.suffix == ".claim":
                is_theirs = (_read(path) or "").partition("\n")[2] in keys
            with suppress(OSError):
                if is_theirs and _is_over(path.stat().st_mtime_ns, now, self._lease_s):
                    path.unlink()

    def _make(self, path: Path, key: str) -> bool:
        """Make a claim in one step: the file has its content when it gets its name."""
        draft = self._folder / f".{uuid.uuid4().hex}{_DRAFT}"
        draft.write_text(f"{self.owner}\n{key}", "utf-8")
        try:
            os.link(draft, path)
        except FileExistsError:
            return False
        finally:
            draft.unlink()
        return True

    def _take_over(self, path: Path, key: str) -> bool:
        """Take the claim of a dead worker; only one of several that try succeeds."""
        if not self._is_stale(path):
            return False
        with locked(self._folder / "take-over.lock"):
            if not self._is_stale(path):
                return False
            path.unlink(missing_ok=True)
            return self._make(path, key)

    def _is_stale(self, path: Path) -> bool:
        """Whether a claim is too old, or from a future that cannot be, and nobody touches it."""
        try:
            touched = path.stat().st_mtime_ns
        except FileNotFoundError:
            self._seen.pop(path, None)
            return False
        seen, since = self._seen.get(path, (0, 0.0))
        if seen != touched:
            since = self._clock()
            self._seen[path] = touched, since
        if self._clock() - since < self._lease_s / 2:
            return False
        return _is_over(touched, _now(self._folder), self._lease_s)

    def _keep_renewing(self) -> None:
        while not self._closed.wait(self._lease_s / 4):
            for claim in list(self._held.values()):
                try:
                    claim.renew()
                except OSError:  # the folder is out of reach for a moment; the lease decides
                    time.sleep(0.1)


def owners(folder: Path, lease_s: float = LEASE_S) -> list[str]:
    """The worker of each song that is claimed now, in a folder that may be read-only."""
    now, found = _now(folder), []
    for path in sorted(folder.glob("*.claim")):
        owner = _owner_of(path)
        try:
            if owner and not _is_over(path.stat().st_mtime_ns, now, lease_s):
                found.append(owner)
        except FileNotFoundError:
            continue
    return sorted(found)


def _is_over(touched_ns: int, now: float, lease_s: float) -> bool:
    return abs(now - touched_ns / 1e9) > lease_s


def _now(folder: Path) -> float:
    """The time as the file system has it, or ours if nothing can be written there."""
    probe = folder / f".{uuid.uuid4().hex}{_PROBE}"
    try:
        probe.touch()
        now = probe.stat().st_mtime
        probe.unlink(missing_ok=True)
    except OSError:
        return time.time()
    return now


def short_digest(key: str) -> str:
    """A name for a file that belongs to a song, whatever characters its key has."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _owner_of(path: Path) -> str | None:
    text = _read(path)
    return None if text is None else text.partition("\n")[0]


def _read(path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except OSError:
        return None
