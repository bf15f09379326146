"""Claims and journal of a batch whose output is an object store.

    OUT/.unbraid/batch/claims/<song>.claim      who works on a song; changes while its owner lives
    OUT/.unbraid/batch/journal/<worker>-0001.jsonl   attempts, each worker in objects of its own
    OUT/.unbraid/batch/uploads/<song>           objects of this song are ours
    OUT/batch.jsonl                             all of them, written when a worker ends

Objects cannot be appended to, so each worker writes its newest lines again as one whole object.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Collection, Sequence
from dataclasses import asdict
from threading import Event, Thread

from unbraid.batch.claims import short_digest
from unbraid.batch.journal import FILE, Entry, parse_lines
from unbraid.batch.store import Store
from unbraid.closing import Closing

_STATE = ".unbraid/batch"
_LINES = 100
"""Lines of one object of a journal."""


class StoreClaims(Closing):
    """As `Claims`, with objects that only the first of several can create.

    A claim is stale when nobody has changed it for the lease, as this worker has seen by its own
    clock: no clocks are compared. So a song of a dead worker waits for one lease after the start.

    Args:
        store: the output.
        owner: a name of this worker that no other has.
        lease_s: seconds.
    """

    def __init__(self, store: Store, owner: str, lease_s: float) -> None:
        self.owner = owner
        self._store, self._lease_s = store, lease_s
        self._held: set[str] = set()
        self._seen: dict[str, tuple[bytes, float]] = {}
        self._closed = Event()
        self._renewer = Thread(target=self._keep_renewing, daemon=True)
        self._renewer.start()

    def take(self, key: str) -> bool:
        """Claim a song; False while another worker has it."""
        name = _claim_name(key)
        if not self._store.create(name, self._text(key)):
            if not self._is_stale(name):
                return False
            self._store.delete(name)
            if not self._store.create(name, self._text(key)):
                return False
        self._held.add(key)
        return True

    def is_held(self, key: str) -> bool:
        """Whether the song is still ours."""
        content = self._store.read(_claim_name(key))
        return content is not None and content.startswith(f"{self.owner}\n".encode())

    def release(self, key: str) -> None:
        """Give a song back."""
        self._held.discard(key)
        if self.is_held(key):
            self._store.delete(_claim_name(key))

    def close(self) -> None:
        """Give all songs back."""
        self._closed.set()
        self._renewer.join()
        for key in list(self._held):
            self.release(key)

    def give_up(self, owner: str) -> set[str]:
        """Free the songs of a worker that is known to be dead; returns their keys."""
        keys = set()
        for name, _ in self._store.names(f"{_STATE}/claims"):
            found, _, rest = (self._store.read(name) or b"").decode().partition("\n")
            if found == owner:
                keys.add(rest.rpartition("\n")[0])
                self._store.delete(name)
        return keys

    def look(self) -> None:
        """See which claims are there, to know later which have not changed."""
        for name, _ in self._store.names(f"{_STATE}/claims"):
            self._is_stale(name)

    def clear(self, keys: Collection[str]) -> None:
        """Remove what dead workers have left of songs that are settled, so that nobody took it."""
        names = {_claim_name(key) for key in keys}
        for name, _ in self._store.names(f"{_STATE}/claims"):
            if name in names and self._is_stale(name):
                self._store.delete(name)

    def _text(self, key: str) -> bytes:
        return f"{self.owner}\n{key}\n{uuid.uuid4().hex}".encode()

    def _is_stale(self, name: str) -> bool:
        content, now = self._store.read(name), time.monotonic()
        if content is None:
            return False
        seen, since = self._seen.get(name, (b"", now))
        if seen != content:
            self._seen[name] = content, now
            return False
        return now - since > self._lease_s

    def _keep_renewing(self) -> None:
        while not self._closed.wait(self._lease_s / 4):
            for key in list(self._held):
                try:
                    if self.is_held(key) and key in self._held:
                        self._store.write(_claim_name(key), self._text(key))
                except Exception:  # the store is out of reach for a moment; the lease decides
                    time.sleep(0.1)


def owners(store: Store) -> list[str]:
    """The owner of every song that is claimed, dead ones among them."""
    claims = [store.read(name) or b"" for name, _ in store.names(f"{_STATE}/claims")]
    return sorted(text.decode().partition("\n")[0] for text in claims if text)


class StoreJournal:
    """As `Journal`, in a store.

    Args:
        store: the output.
        worker: name of the worker that appends; None only reads.
    """

    def __init__(self, store: Store, worker: str | None = None) -> None:
        self._store, self._worker = store, worker
        self._own: list[Entry] = []
        self._written = 0
        self._read_bytes: dict[str, int] = {}
        self._entries: dict[str, list[Entry]] = {}
        self._last: dict[tuple[str, str], Entry] = {}
        self._newest: dict[str, Entry] = {}

    def append(self, entry: Entry) -> None:
        """Add one line, in the store before this returns."""
        self._own.append(entry)
        first = (len(self._own) - 1) // _LINES * _LINES
        name = f"{_STATE}/journal/{self._worker}-{first // _LINES + 1:04}.jsonl"
        self._store.write(name, _entry_lines(self._own[first:]))

    def look(self) -> None:
        """Read the objects that have changed since the last look."""
        for name, size in self._store.names(f"{_STATE}/journal"):
            if self._read_bytes.get(name) != size:
                content = self._store.read(name) or b""
                self._entries[name] = list(parse_lines(content))
                self._read_bytes[name] = len(content)
                for entry in self._entries[name]:
                    self._keep(entry)

    def known(self, key: str, request: str) -> Entry | None:
        """The last attempt at a song with these settings, as of the last look."""
        return self._last.get((key, request))

    def newest(self, key: str) -> Entry | None:
        """The last success with a song, with whatever settings, as of the last look."""
        return self._newest.get(key)

    def last(self, key: str, request: str) -> Entry | None:
        """The last attempt at a song with these settings, as of now."""
        self.look()
        return self.known(key, request)

    def lines(self) -> list[Entry]:
        """All attempts, in the order in which they ended."""
        self.look()
        everything = [entry for entries in self._entries.values() for entry in entries]
        return sorted(everything, key=lambda entry: entry.time)

    def entries(self) -> list[Entry]:
        """The last attempt at every song."""
        return list({(entry.key, entry.request): entry for entry in self.lines()}.values())

    def _keep(self, entry: Entry) -> None:
        place = entry.key, entry.request
        there = self._last.get(place)
        if there is None or (there.time, there.attempt) <= (entry.time, entry.attempt):
            self._last[place] = entry
        newest = self._newest.get(entry.key)
        if entry.status != "failed" and (newest is None or newest.time <= entry.time):
            self._newest[entry.key] = entry

    def note_upload(self, key: str) -> None:
        """Say that objects of a song are ours, before the first of them is written."""
        self._store.write(_mark_name(key), b"")

    def is_ours(self, key: str) -> bool:
        """Whether objects of a song were uploaded, also if that was never finished."""
        return self._store.read(_mark_name(key)) is not None

    def publish(self) -> None:
        """Write `batch.jsonl` with the lines of all workers."""
        self._store.write(FILE, _entry_lines(self.lines()))


def _entry_lines(entries: Sequence[Entry]) -> bytes:
    return b"".join(json.dumps(asdict(entry)).encode() + b"\n" for entry in entries)


def _claim_name(key: str) -> str:
    return f"{_STATE}/claims/{short_digest(key)}.claim"


def _mark_name(key: str) -> str:
    return f"{_STATE}/uploads/{short_digest(key)}"
