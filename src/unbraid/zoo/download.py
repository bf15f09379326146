"""Download a file once: resumed after a break, verified, and given its name only when complete.

If two processes need the same file, one downloads it and the other waits.
"""

from __future__ import annotations

import http.client
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unbraid.atomic import publish
from unbraid.cache_root import cache_root
from unbraid.errors import ModelError
from unbraid.locks import locked
from unbraid.zoo.hashes import sha256_of

OnDownload = Callable[[str, int, int | None], None]
"""Called with the file's name, the bytes received so far, and the total, None if unknown."""

MOST_BYTES = 8 << 30
_BLOCK = 256 << 10
_SLOWEST = 1024  # bytes a second, over a minute


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
    failed, resumed = 0, _size(part) > 0
    while True:
        before = _size(part)
        try:
            _request(address, part, on_download, timeout_s)
        except _Broken as error:
            failed = 0 if _size(part) > before and not error.slow else failed + 1
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


class _Broken(Exception):
    """An attempt failed; `final` if another would not help, `slow` if it received little."""

    def __init__(self, reason: str, final: bool = False, slow: bool = False) -> None:
        super().__init__(" ".join(reason.split())[:300])
        self.final, self.slow = final, slow


def _request(address: str, part: Path, on_download: OnDownload | None, timeout_s: float) -> None:
    """One attempt: request the missing bytes and append them."""
    there = _size(part)
    headers = {"User-Agent": "unbraid", "Accept-Encoding": "identity"}
    if there:
        headers["Range"] = f"bytes={there}-"
    request = urllib.request.Request(address, headers=headers)
    try:
        with _opener().open(request, timeout=timeout_s) as answer:
            if answer.status not in (200, 206):
                raise _Broken(f"the server answered {answer.status}")
            if answer.status == 200 or not _continues(answer, there):
                there = 0
            _save(answer, part, there, _total(answer, there), on_download, timeout_s)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # our part is longer than the file, so it belongs to another one
            part.unlink(missing_ok=True)
            raise _Broken("the server has a shorter file") from error
        lasting = error.code < 500 and error.code not in (408, 425, 429)
        raise _Broken(f"the server answered {error.code} {error.reason}", lasting) from error
    except urllib.error.URLError as error:
        unknown = isinstance(error.reason, socket.gaierror)
        raise _Broken(f"no connection ({error.reason})", final=unknown) from error
    except (http.client.HTTPException, ValueError, OSError) as error:
        raise _Broken(str(error) or type(error).__name__) from error


def _save(
    answer: Any,
    part: Path,
    there: int,
    total: int | None,
    on_download: OnDownload | None,
    timeout_s: float,
) -> None:
    name = part.name.lstrip(".").removesuffix(".part")
    started, window = time.monotonic(), 0
    with part.open("r+b" if there else "wb") as file:
        file.seek(there)
        file.truncate()
        while block := _read(answer):
            file.write(block)
            there, window = there + len(block), window + len(block)
            if there > MOST_BYTES or (total is not None and there > total):
                raise _Broken("the server sends more than it announced", final=True)
            if on_download is not None:
                on_download(name, there, total)
            elapsed = time.monotonic() - started
            if elapsed > 2 * timeout_s:
                if window < _SLOWEST * elapsed:
                    reason = f"the server sends {window / elapsed:.0f} bytes a second"
                    raise _Broken(reason, slow=True)
                started, window = time.monotonic(), 0
    if total is not None and there < total:
        raise _Broken(f"the connection ended after {there} of {total} bytes")


def _read(answer: Any) -> bytes:
    # read1 returns what has arrived, so that a slow server is noticed
    block: bytes = answer.read1(_BLOCK)
    return block


def _continues(answer: Any, there: int) -> bool:
    """Whether the answer starts where our part ends."""
    said = answer.headers.get("Content-Range", "")
    return bool(said.startswith(f"bytes {there}-"))


def _total(answer: Any, there: int) -> int | None:
    length = answer.headers.get("Content-Length", "")
    return there + int(length) if length.isdigit() else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to HTTP and HTTPS, but never from HTTPS to HTTP."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        scheme = newurl.partition(":")[0]
        if scheme not in ("http", "https") or (req.type == "https" and scheme == "http"):
            raise _Broken(f"the server redirects to {newurl!r:.100}", final=True)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """Speaks HTTP and HTTPS only: no file:, no ftp:."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        _Redirects(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener
