"""The queue and the library: one table of jobs in SQLite, written only by the server.

    queued -> running -> succeeded | failed | canceled        failed, canceled -> queued (retry)

A job that was running when the server died is queued again in its old place at the next start.
Progress changes many times a second and is useless after a crash, so it is kept in memory.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from unbraid.web.choices import JobSettings
from unbraid.web.job import Job, Live
from unbraid.web.messages import SongFacts

_VERSION = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    folded TEXT NOT NULL,
    status TEXT NOT NULL,
    suffix TEXT NOT NULL,
    settings TEXT NOT NULL,
    facts TEXT NOT NULL DEFAULT '{}',
    error TEXT,
    created REAL NOT NULL,
    started REAL,
    finished REAL,
    crashes INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    demo INTEGER NOT NULL DEFAULT 0,
    renamed INTEGER NOT NULL DEFAULT 0,
    place INTEGER
);
CREATE INDEX IF NOT EXISTS jobs_by_status ON jobs (status, number);
"""
_PLACE = "coalesce(place, number)"
_ADDED = ("renamed INTEGER NOT NULL DEFAULT 0", "place INTEGER")  # to version 1


class JobStore:
    """All jobs; every method may be called from any thread.

    Args:
        path: of the database; created if needed.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._live: dict[str, Live] = {}
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")  # what a client was told survives a power cut
        self._db.execute("PRAGMA busy_timeout=5000")
        self._db.executescript(_SCHEMA)
        self._migrate()
        self._db.execute(f"PRAGMA user_version={_VERSION}")

    def _migrate(self) -> None:
        """Bring the table of an older version up to date."""
        there = {row["name"] for row in self._db.execute("PRAGMA table_info(jobs)")}
        for column in _ADDED:
            if column.split()[0] not in there:
                self._db.execute(f"ALTER TABLE jobs ADD COLUMN {column}")

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    def add(
        self,
        id: str,
        name: str,
        suffix: str,
        settings: JobSettings,
        *,
        bytes: int = 0,
        demo: bool = False,
        renamed: bool = False,
        most_waiting: int | None = None,
    ) -> Job | None:
        """Put a job at the end of the queue; None if `most_waiting` are there already."""
        with self._write():
            if most_waiting is not None and self.unfinished() >= most_waiting:
                return None
            self._db.execute(
                "INSERT INTO jobs (id, name, folded, status, suffix, settings, created, bytes,"
                " demo, renamed) VALUES (?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?)",
                (
                    *(id, name, name.casefold(), suffix, json.dumps(settings.as_row())),
                    *(time.time(), bytes, int(demo), int(renamed)),
                ),
            )
            return self.get(id)

    def get(self, id: str) -> Job | None:
        """A job by its id."""
        with self._lock:
            row = self._db.execute("SELECT * FROM jobs WHERE id = ?", (id,)).fetchone()
            return None if row is None else self._job(row)

    def find(
        self, query: str = "", statuses: Sequence[str] = (), limit: int = 50, offset: int = 0
    ) -> tuple[list[Job], int]:
        """Jobs with `query` in their name or tags, newest first, and their total number.

        Args:
            query: part of name, title, artist or album, in any case; "" for all.
            statuses: only jobs in these states; empty for all.
        """
        where, values = "instr(folded, ?)", [query.casefold()]
        if statuses:
            marks = ",".join("?" * len(statuses))
            where, values = f"{where} AND status IN ({marks})", [*values, *statuses]
        with self._lock:
            total = self._db.execute(f"SELECT count(*) FROM jobs WHERE {where}", values)
            rows = self._db.execute(
                f"SELECT * FROM jobs WHERE {where} ORDER BY number DESC LIMIT ? OFFSET ?",
                [*values, limit, offset],
            )
            return [self._job(row) for row in rows], int(total.fetchone()[0])

    def with_status(self, *statuses: str) -> list[Job]:
        """All jobs of these states, in the order of the queue."""
        marks = ",".join("?" * len(statuses))
        with self._lock:
            rows = self._db.execute(
                f"SELECT * FROM jobs WHERE status IN ({marks}) ORDER BY {_PLACE}", statuses
            )
            return [self._job(row) for row in rows]

    def finished_before(self, moment: float) -> list[Job]:
        """Jobs that ended before a time, except the demo."""
        with self._lock:
            rows = self._db.execute(
                "SELECT * FROM jobs WHERE finished < ? AND demo = 0 AND status NOT IN "
                "('queued', 'running')",
                (moment,),
            )
            return [self._job(row) for row in rows]

    def ids(self) -> set[str]:
        """Of all jobs."""
        with self._lock:
            return {row["id"] for row in self._db.execute("SELECT id FROM jobs")}

    def count(self) -> int:
        """All jobs."""
        with self._lock:
            return int(self._db.execute("SELECT count(*) FROM jobs").fetchone()[0])

    def unfinished(self) -> int:
        """Jobs that wait or run."""
        with self._lock:
            found = self._db.execute(
                "SELECT count(*) FROM jobs WHERE status IN ('queued', 'running')"
            )
            return int(found.fetchone()[0])

    def position(self, job: Job) -> int | None:
        """Place in the queue, 1 for the next; None if it is not waiting."""
        if job.status != "queued":
            return None
        with self._lock:
            found = self._db.execute(
                f"SELECT count(*) FROM jobs WHERE status = 'queued' AND {_PLACE} <= ?",
                (job.number if job.place is None else job.place,),
            )
            return int(found.fetchone()[0])

    def move(self, id: str, position: int) -> bool:
        """Move a waiting job to this position, 1 for the next; False if it does not wait.

        The places that waiting jobs have are dealt out among them again, so that songs that come
        back to the queue keep theirs.
        """
        with self._write():
            waiting = self.with_status("queued")
            places = [job.number if job.place is None else job.place for job in waiting]
            order = [job.id for job in waiting]
            if id not in order:
                return False
            order.remove(id)
            order.insert(max(0, position - 1), id)
            self._db.executemany(
                "UPDATE jobs SET place = ? WHERE id = ?", list(zip(places, order, strict=True))
            )
            return True

    def claim(self) -> Job | None:
        """The next waiting job, now marked as running; None if none is waiting."""
        with self._write():
            row = self._db.execute(
                f"SELECT id FROM jobs WHERE status = 'queued' ORDER BY {_PLACE} LIMIT 1"
            ).fetchone()
            if row is None:
                return None
            self._live[row["id"]] = Live()
            self._db.execute(
                "UPDATE jobs SET status = 'running', started = ?, error = NULL WHERE id = ?",
                (time.time(), row["id"]),
            )
            return self.get(row["id"])

    def report(self, id: str, live: Live) -> None:
        """Note how far a running job has come."""
        with self._lock:
            if id in self._live:
                self._live[id] = live

    def learn(self, id: str, facts: SongFacts, bytes: int | None = None) -> None:
        """Add facts about a song."""
        with self._write():
            job = self.get(id)
            if job is not None:
                known = job.facts.with_more(facts)
                self._db.execute(
                    "UPDATE jobs SET facts = ?, folded = ?, bytes = ? WHERE id = ?",
                    (json.dumps(known.known()), _folded(job.name, known), bytes or job.bytes, id),
                )

    def rename(self, id: str, name: str) -> None:
        """Give a job another name, which counts more than its tags."""
        with self._write():
            job = self.get(id)
            if job is not None:
                self._db.execute(
                    "UPDATE jobs SET name = ?, renamed = 1, folded = ? WHERE id = ?",
                    (name, _folded(name, job.facts), id),
                )

    def finish(self, id: str, status: str, error: str | None = None) -> bool:
        """A running job ends; False if it does not run."""
        return self._move(id, status, ("running",), "finished = ?, error = ?", time.time(), error)

    def cancel_waiting(self, id: str) -> bool:
        """A job that waits is not wanted any more; False if it does not wait."""
        return self._move(id, "canceled", ("queued",), "finished = ?", time.time())

    def requeue(self, id: str, *, crashed: bool = False) -> bool:
        """A running job goes back to its place in the queue: its worker died, or is to stop."""
        change = "started = NULL, crashes = crashes + ?"
        return self._move(id, "queued", ("running",), change, int(crashed))

    def retry(self, id: str, most_waiting: int) -> bool:
        """A job that failed or was cancelled waits again; False if it is neither, or no room."""
        change = "started = NULL, finished = NULL, error = NULL, crashes = 0, facts = '{}'"
        with self._write():
            if self.unfinished() >= most_waiting:
                return False
            return self._move(id, "queued", ("failed", "canceled"), change)

    def requeue_all(self) -> list[str]:
        """Queue again what ran when the last server ended; returns the ids."""
        return [job.id for job in self.with_status("running") if self.requeue(job.id)]

    def delete(self, id: str) -> bool:
        """Delete a job; False if it does not exist."""
        with self._write():
            self._live.pop(id, None)
            return self._db.execute("DELETE FROM jobs WHERE id = ?", (id,)).rowcount > 0

    def _move(self, id: str, to: str, allowed: tuple[str, ...], change: str, *values: Any) -> bool:
        marks = ",".join("?" * len(allowed))
        with self._write():
            done = self._db.execute(
                f"UPDATE jobs SET status = ?, {change} WHERE id = ? AND status IN ({marks})",
                (to, *values, id, *allowed),
            )
            if done.rowcount:
                self._live.pop(id, None)
            return done.rowcount > 0

    @contextmanager
    def _write(self) -> Iterator[None]:
        """One transaction; a call inside another's joins it."""
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _job(self, row: sqlite3.Row) -> Job:
        values = {key: row[key] for key in row.keys() if key != "folded"}  # noqa: SIM118
        job = Job(
            **{
                **values,
                "settings": JobSettings.from_row(json.loads(row["settings"])),
                "facts": SongFacts.from_plain(json.loads(row["facts"])),
                "demo": bool(row["demo"]),
                "renamed": bool(row["renamed"]),
            }
        )
        live = self._live.get(job.id)
        return job if live is None else replace(job, live=live)


def _folded(name: str, facts: SongFacts) -> str:
    """What a search looks through."""
    lines = (name, facts.title, facts.artist, facts.album)
    return "\n".join(line for line in lines if line).casefold()
