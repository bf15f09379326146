"""Hashes of files, and the hashes in the names of public files."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

from unbraid.errors import CheckpointError


class Digest:
    """The hash of a file, or of several files and facts, computed once and only when needed.

    Args:
        paths: of the files.
        facts: values to hash with the content; without them one file gets its plain SHA-256.
    """

    def __init__(self, paths: Sequence[Path], facts: tuple[object, ...] = ()) -> None:
        self.paths, self._facts = tuple(paths), facts
        self._found: Future[str] | None = None

    def start(self) -> None:
        """Start computing it on its own thread, unless that has started."""
        if self._found is None:
            helper = ThreadPoolExecutor(1, "unbraid-hash")
            self._found = helper.submit(self._compute)
            helper.shutdown(wait=False)

    def result(self) -> str:
        """The digest, hexadecimal.

        Raises:
            CheckpointError: if a file cannot be read.
        """
        self.start()
        assert self._found is not None
        return self._found.result()

    def _compute(self) -> str:
        hashes = [sha256_of(path) for path in self.paths]
        if not self._facts:
            return hashes[0]
        return hashlib.sha256(repr((hashes, *self._facts)).encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """Hash of the whole file, as hex; kept for as long as the file is not written to.

    Raises:
        CheckpointError: if it cannot be read.
    """
    try:
        return _hash(path, _version(path.stat()))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from error


def _version(found: os.stat_result) -> tuple[int, ...]:
    """What changes when a file is written to, or replaced."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


@lru_cache(maxsize=64)
def _hash(path: Path, version: tuple[int, ...]) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def named_hash(path: Path) -> str | None:
    """The first 8 digits of the hash in a public file name: signature-HASH.suffix.

    >>> named_hash(Path("e51eebcc-c1b80bdd.th"))
    'c1b80bdd'
    """
    anyone = r".*" if path.suffix in (".th", ".pth") else r"[0-9a-f]{8}"
    found = re.fullmatch(rf"{anyone}-([0-9a-f]{{8}})\.\w+", path.name)
    return found[1] if found else None


def check_named_hash(path: Path) -> None:
    """Compare a file with the hash in its name, if there is one.

    Raises:
        CheckpointError: if they differ.
    """
    wanted = named_hash(path)
    if wanted is not None and (found := sha256_of(path)[:8]) != wanted:
        raise CheckpointError(
            f"{path}: its SHA-256 starts with {found}, its name says {wanted}; it is cut short or "
            "altered, get it again"
        )
