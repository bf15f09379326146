"""The log of a run: JSON lines, tables, TensorBoard, and listeners.

log.jsonl    every row: {"kind": "step" | "epoch" | "note" | "trouble", "step": ..., ...}
steps.csv    its rows of kind "step";  epochs.csv: those of kind "epoch"
tensorboard/ if the package tensorboard is installed
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from unbraid.atomic import fsync_file, write_text
from unbraid.training.board import Board

Row = dict[str, Any]
Listener = Callable[[Row], None]

_TABLES = {"step": "steps.csv", "epoch": "epochs.csv"}


class RunLog:
    """Writes rows at once.

    Args:
        folder: of the run; None for the other processes of a team, which write nothing.
        step: later rows are dropped: their steps are repeated.
        listeners: called with every row.
    """

    def __init__(
        self, folder: Path | None, step: int = 0, listeners: Iterable[Listener] = ()
    ) -> None:
        self._folder, self._listeners = folder, tuple(listeners)
        self._columns: dict[str, list[str]] = {}
        self.board: Board | None = None
        if folder is None:
            return
        self._path = folder / "log.jsonl"
        kept = [row for row in read_log(self._path) if row["step"] <= step]
        write_text(self._path, "".join(json.dumps(row) + "\n" for row in kept))
        for kind, name in _TABLES.items():
            (folder / name).unlink(missing_ok=True)
            for row in kept:
                if row["kind"] == kind:
                    self._tabulate(row)
        self.board = Board.open(folder / "tensorboard", step)

    def write(self, kind: str, step: int, **facts: Any) -> None:
        """One row; numbers that are not finite are written as null."""
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        row: Row = {"kind": kind, "step": step, "time": now, **facts}
        if self._folder is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(_finite(row), ensure_ascii=False) + "\n")
            if kind in _TABLES:
                self._tabulate(row)
        if self.board is not None and kind in _TABLES:
            self.board.numbers(kind, step, flat(facts))
        for listener in self._listeners:
            listener(row)

    def keep(self) -> None:
        """Wait until all rows are on the disk: a state that is saved later lacks none."""
        if self._folder is not None and self._path.exists():
            fsync_file(self._path)

    def close(self) -> None:
        """Let TensorBoard write its waiting events."""
        if self.board is not None:
            self.board.close()

    def _tabulate(self, row: Row) -> None:
        """Append to the row's table; its columns are those of the first row."""
        assert self._folder is not None
        kind, values = row["kind"], flat(row)
        values.pop("kind")
        path = self._folder / _TABLES[kind]
        with path.open("a", encoding="utf-8", newline="") as file:
            columns = self._columns.setdefault(kind, list(values))
            writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore")
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(values)


def read_log(path: Path) -> list[Row]:
    """All rows of a log, without an incomplete last line."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and {"kind", "step"} <= row.keys():
            rows.append(row)
    return rows


def flat(row: Mapping[str, Any], before: str = "") -> Row:
    """A row without nesting.

    >>> flat({"loss": 1, "stems": {"bass": 2}})
    {'loss': 1, 'stems.bass': 2}
    """
    found: Row = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            found.update(flat(value, f"{before}{name}."))
        elif not isinstance(value, (list, tuple)):
            found[before + name] = value
    return found


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
