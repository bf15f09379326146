"""One request for a file, over HTTP or HTTPS, from where the last one ended."""

from __future__ import annotations

import http.client
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

OnDownload = Callable[[str, int, int | None], None]
"""Called with the file's name, the bytes received so far, and the total, None if unknown."""

MOST_BYTES = 8 << 30
_BLOCK = 256 << 10
_SLOWEST = 1024  # bytes a second, over a minute


class Broken(Exception):
    """An attempt failed; `final` if another would not help, `slow` if it received little."""

    def __init__(self, reason: str, final: bool = False, slow: bool = False) -> None:
        super().__init__(" ".join(reason.split())[:300])
        self.final, self.slow = final, slow


def request_missing(
    address: str, part: Path, on_download: OnDownload | None, timeout_s: float
) -> None:
    """One attempt: request the missing bytes and append them.

    Args:
        address: of the file.
        part: what has arrived of it, if anything.
        on_download: as for `fetch`.
        timeout_s: longest wait for data from the server.
    Raises:
        Broken: if some are still missing.
    """
    there = size_of(part)
    headers = {"User-Agent": "unbraid", "Accept-Encoding": "identity"}
    if there:
        headers["Range"] = f"bytes={there}-"
    request = urllib.request.Request(address, headers=headers)
    try:
        with _opener().open(request, timeout=timeout_s) as answer:
            if answer.status not in (200, 206):
                raise Broken(f"the server answered {answer.status}")
            if answer.status == 200 or not _continues(answer, there):
                there = 0
            _save(answer, part, there, _total(answer, there), on_download, timeout_s)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # our part is longer than the file, so it belongs to another one
            part.unlink(missing_ok=True)
            raise Broken("the server has a shorter file") from error
        lasting = error.code < 500 and error.code not in (408, 425, 429)
        raise Broken(f"the server answered {error.code} {error.reason}", lasting) from error
    except urllib.error.URLError as error:
        unknown = isinstance(error.reason, socket.gaierror)
        raise Broken(f"no connection ({error.reason})", final=unknown) from error
    except (http.client.HTTPException, ValueError, OSError) as error:
        raise Broken(str(error) or type(error).__name__) from error


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
                raise Broken("the server sends more than it announced", final=True)
            if on_download is not None:
                on_download(name, there, total)
            elapsed = time.monotonic() - started
            if elapsed > 2 * timeout_s:
                if window < _SLOWEST * elapsed:
                    reason = f"the server sends {window / elapsed:.0f} bytes a second"
                    raise Broken(reason, slow=True)
                started, window = time.monotonic(), 0
    if total is not None and there < total:
        raise Broken(f"the connection ended after {there} of {total} bytes")


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


def size_of(path: Path) -> int:
    """Bytes of a file; 0 if there is none."""
    return path.stat().st_size if path.exists() else 0


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to HTTP and HTTPS, but never from HTTPS to HTTP."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        scheme = newurl.partition(":")[0]
        if scheme not in ("http", "https") or (req.type == "https" and scheme == "http"):
            raise Broken(f"the server redirects to {newurl!r:.100}", final=True)
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
