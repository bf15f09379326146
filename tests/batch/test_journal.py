"""The journal: whole lines only, whoever writes and whenever it dies."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from unbraid.batch.journal import Entry, Journal


def _entry(key: str, status: str = "done", attempt: int = 1) -> Entry:
    return Entry(f"{key}.wav", key, "request", status, attempt, 1.5, "worker", source=(3, 4))


def test_what_is_written_is_read_back_also_by_another(tmp_path: Path) -> None:
    journal, other = Journal(tmp_path), Journal(tmp_path)
    assert other.last("a", "request") is None
    journal.append(_entry("a", "failed"))
    assert other.last("a", "request") == _entry("a", "failed")
    journal.append(_entry("a", "done", attempt=2))
    journal.append(_entry("b"))
    assert other.last("a", "request") == _entry("a", "done", attempt=2)
    assert other.last("a", "other settings") is None
    assert other.entries() == [_entry("a", "done", attempt=2), _entry("b")]


def test_many_writers_lose_no_line(tmp_path: Path) -> None:
    journals = [Journal(tmp_path) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for number, journal in enumerate(journals):
            for song in range(10):
                pool.submit(journal.append, _entry(f"{number}-{song}"))
    assert len(Journal(tmp_path).entries()) == 80


def test_a_line_cut_off_by_a_crash_costs_only_itself(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(_entry("a"))
    with journal.path.open("ab") as file:
        file.write(b'{"song": "half')
    journal.append(_entry("b"))
    assert [entry.key for entry in Journal(tmp_path).entries()] == ["a", "b"]
