"""What would be left after a power cut: files that were synced, under names that were synced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


class Disk:
    """Watches every fsync and every rename of this process.

    A file that gets its name has to be on the disk, and so has its name in the end.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._synced: set[int] = set()
        self._open: dict[int, Path] = {}
        self.lost: list[Path] = []
        self.named: list[Path] = []
        fsync, replace = os.fsync, os.replace

        def watched_fsync(handle: int) -> None:
            fsync(handle)
            number = os.fstat(handle).st_ino
            self._synced.add(number)
            self._open.pop(number, None)

        def watched_replace(source: Path, target: Path) -> None:
            below = [path for path in Path(source).rglob("*") if path.is_file()]
            files = below if Path(source).is_dir() else [Path(source)]
            self.lost += [path for path in files if path.stat().st_ino not in self._synced]
            replace(source, target)
            self.named.append(Path(target))
            self._open[Path(target).parent.stat().st_ino] = Path(target)

        monkeypatch.setattr(os, "fsync", watched_fsync)
        monkeypatch.setattr(os, "replace", watched_replace)

    def check(self, *names: str) -> None:
        """These files, and perhaps others, got their names, and all would be there."""
        assert set(names) <= {path.name for path in self.named}
        assert self.lost == []
        assert self._open == {}
