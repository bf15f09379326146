"""Ratings in SQLite: one transaction each, in WAL mode: what is reported as saved is."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "ratings.sqlite"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS raters (
  token TEXT PRIMARY KEY, playlist INTEGER NOT NULL UNIQUE, background TEXT NOT NULL,
  started TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')));
CREATE TABLE IF NOT EXISTS ratings (
  token TEXT NOT NULL REFERENCES raters(token), trial TEXT NOT NULL, sound TEXT NOT NULL,
  question TEXT NOT NULL, value REAL NOT NULL, listened_s REAL NOT NULL,
  given TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  PRIMARY KEY (token, trial, sound, question));
"""


@dataclass(frozen=True)
class Rating:
    """One answer.

    Attributes:
        trial, sound, question: of what.
        value: the answer.
        listened_s: how long the sound had been heard by then.
    """

    trial: str
    sound: str
    question: str
    value: float
    listened_s: float


class Store:
    """The database of a study. Each call opens its own connection, so threads may share a store.

    Args:
        path: the file; made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._connected() as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.executescript(_SCHEMA)

    def join(self, background: Mapping[str, Any]) -> tuple[str, int]:
        """A new rater: a secret token, and the number of an unused playlist."""
        token = secrets.token_urlsafe(18)
        with self._connected() as db, _transaction(db):
            (taken,) = db.execute("SELECT coalesce(max(playlist), -1) FROM raters").fetchone()
            db.execute(
                "INSERT INTO raters (token, playlist, background) VALUES (?, ?, ?)",
                (token, taken + 1, json.dumps(background)),
            )
        return token, taken + 1

    def playlist(self, token: str) -> int | None:
        """The playlist of a rater; None for an unknown token."""
        with self._connected() as db:
            row = db.execute("SELECT playlist FROM raters WHERE token = ?", (token,)).fetchone()
        return None if row is None else int(row[0])

    def rate(self, token: str, rating: Rating) -> None:
        """Keep an answer; a later one to the same question replaces it."""
        with self._connected() as db, _transaction(db):
            db.execute(
                "INSERT INTO ratings (token, trial, sound, question, value, listened_s) "
                "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value, "
                "listened_s = excluded.listened_s, given = excluded.given",
                (token, rating.trial, rating.sound, rating.question, rating.value,
                 rating.listened_s),
            )  # fmt: skip

    def ratings(self, token: str) -> list[Rating]:
        """All answers of a rater."""
        with self._connected() as db:
            rows = db.execute(
                "SELECT trial, sound, question, value, listened_s FROM ratings WHERE token = ?",
                (token,),
            ).fetchall()
        return [Rating(*row) for row in rows]

    def raters(self) -> list[tuple[str, int, Mapping[str, Any], str]]:
        """Token, playlist, background and start of all raters."""
        with self._connected() as db:
            rows = db.execute(
                "SELECT token, playlist, background, started FROM raters ORDER BY playlist"
            ).fetchall()
        return [(t, int(p), json.loads(background), s) for t, p, background, s in rows]

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=20, isolation_level=None)) as db:
            db.execute("PRAGMA synchronous=FULL")  # kept also when the power fails
            db.execute("PRAGMA foreign_keys=ON")
            yield db


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
