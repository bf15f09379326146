"""The journal of a batch: `batch.jsonl`, one line per finished attempt at a song.

Lines are only appended, each in one write under a lock, so many workers can share the file and
a crash costs at most the line that was being written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from unbraid.atomic import append_line
from unbraid.audio.container import shown
from unbraid.errors import DiskFull, UnbraidError
from unbraid.locks import locked
from unbraid.tracks.failures import is_disk_full

FILE = "batch.jsonl"


@dataclass(frozen=True)
class Entry:
    """One attempt at one song.

    Attributes:
        song: the input file.
        key: which song of the batch it is: its place below the output folder.
        request: digest of the model and all settings.
        status: "done", "skipped" (was separated before) or "failed".
        attempt: 1 for the first one.
        time: seconds since 1970, when it ended.
        worker: who did it.
        source: size and modification time of the input, to see whether it has changed since.
        outputs: stem -> file.
        seconds_audio, seconds_wall: length of the song and time it took.
        error: why it failed.
    """

    song: str
    key: str
    request: str
    status: str
    attempt: int
    time: float
    worker: str
    source: tuple[int, int] | None = None
    outputs: dict[str, str] = field(default_factory=dict)
    seconds_audio: float | None = None
    seconds_wall: float | None = None
    error: str | None = None


class Journal:
    """The journal of one output folder.

    It reads what other workers appended since the last look, so a look costs little. Several
    threads may use it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._lock = folder / ".unbraid" / "batch" / "journal.lock"
        self._read_bytes = 0
        self._reading = Lock()
        self._newest: dict[str, Entry] = {}
        self._last: dict[tuple[str, str], Entry] = {}
        self._lines: list[Entry] = []

    def append(self, entry: Entry) -> None:
        """Add one line, on disk before this returns.

        Raises:
            UnbraidError: if the file cannot be written.
        """
        line = json.dumps(asdict(entry))
        with naming_state(self.path):
            self._lock.parent.mkdir(parents=True, exist_ok=True)
            self._append(line)

    def _append(self, line: str) -> None:
        with locked(self._lock):
            append_line(self.path, line)

    def last(self, key: str, request: str) -> Entry | None:
        """The last attempt at a song with these settings."""
        self._catch_up()
        return self._last.get((key, request))

    def newest(self, key: str) -> Entry | None:
        """The last success with a song, with whatever settings, as of the last look."""
        return self._newest.get(key)

    def lines(self) -> list[Entry]:
        """All attempts, in the order in which they ended."""
        self._catch_up()
        return self._lines

    def entries(self) -> list[Entry]:
        """The last attempt at every song, in the order of their first attempts."""
        self._catch_up()
        return list(self._last.values())

    def _catch_up(self) -> None:
        with self._reading:
            self._read_on()

    def _read_on(self) -> None:
        try:
            with self.path.open("rb") as file:
                file.seek(self._read_bytes)
                data = file.read()
        except FileNotFoundError:
            return
        whole = data.rfind(b"\n") + 1
        self._read_bytes += whole
        for entry in parse_lines(data[:whole]):
            self._last[entry.key, entry.request] = entry
            if entry.status != "failed":
                self._newest[entry.key] = entry
            self._lines.append(entry)


@contextmanager
def naming_state(path: Path) -> Iterator[None]:
    """What the system refuses to do with a file of the batch itself, as an error in one line."""
    try:
        yield
    except OSError as error:
        kind = DiskFull if is_disk_full(error) else UnbraidError
        raise kind(
            f"the batch cannot write {shown(path)}: {(error.strerror or str(error)).lower()}; all "
            "stems that are done stay, and the same command resumes"
        ) from error


def parse_lines(data: bytes) -> Iterator[Entry]:
    """The entries among the lines; a damaged line is left out."""
    for line in data.splitlines():
        try:
            values: dict[str, Any] = json.loads(line)
            source = values.get("source")
            yield Entry(**{**values, "source": tuple(source) if source else None})
        except (ValueError, TypeError, AttributeError):
            continue
