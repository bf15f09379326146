"""Download a file once: resumed after a break, verified, and given its name only when complete.

If two processes need the same file, one downloads it and the other waits.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from unbraid.atomic import publish
from unbraid.cache_root import cache_root
from unbraid.errors import ModelError
from unbraid.locks import locked
from unbraid.zoo.hashes import sha256_of

if TYPE_CHECKING:
    from unbraid.zoo.transfer import OnDownload


def cache_dir() -> Path:
    """Folder of downloaded models, in `UNBRAID_CACHE`, `XDG_CACHE_HOME` or `~/.cache`."""
    return cache_root() / "models"


class CannotFetch(ModelError):
    """The download failed; the message says why, in a few words."""


def fetch(
    address: str,
    target: Path,
    hash8: str,
    *,
    on_download: OnDownload | None = None,
    timeout_s: float = 30.0,
    tries: int = 5,
    pause_s: float = 1.0,
) -> Path:
    """Download the file at `address` to `target`, unless it is there already.

    Args:
        hash8: first digits of its SHA-256, as hex.
        timeout_s: longest wait for data from the server.
        tries: attempts without a byte of progress before giving up.
        pause_s: wait before the second attempt; later waits are longer.
    Raises:
        CannotFetch: if the download fails, or the file has another hash. The part that arrived
            stays next to `target` and is continued the next time.
    """
    if address.partition(":")[0] not in ("http", "https"):
        raise CannotFetch(f"cannot fetch {address}: only http and https are fetched from")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target.with_name(f".{target.name}.lock")):
            if not target.exists():
                part = _part(target)
                _fetch_part(address, part, hash8, on_download, timeout_s, tries, pause_s)
                publish(part, target)
    except OSError as error:
        raise CannotFetch(f"cannot write {target}: {error.strerror or error}") from error
    return target


def _part(target: Path) -> Path:
    return target.with_name(f".{target.name}.part")


def _fetch_part(
    address: str,
    part: Path,
    hash8: str,
    on_download: OnDownload | None,
    timeout_s: float,
    tries: int,
    pause_s: float,
) -> None:
    """Fetch until the file is whole and right, resuming after each break."""
    from unbraid.zoo.transfer import Broken, request_missing, size_of  # and with it http and ssl

    failed, resumed = 0, size_of(part) > 0
    while True:
        before = size_of(part)
        try:
            request_missing(address, part, on_download, timeout_s)
        except Broken as error:
            failed = 0 if size_of(part) > before and not error.slow else failed + 1
            if failed >= tries or error.final:
                raise CannotFetch(f"cannot fetch {address}: {error}") from error
            time.sleep(pause_s * failed)
            continue
        found = sha256_of(part)[: len(hash8)]
        if found == hash8:
            return
        part.unlink()
        if not resumed:
            raise CannotFetch(
                f"cannot use {address}: its SHA-256 starts with {found}, not with {hash8}"
            )
        resumed = False  # the old part may have belonged to another file: try once more
