"""Rules of RFC 9110 that the libraries behind the routes do not follow.

- HEAD works on every route that has GET, with the same headers and no content (section 9.3.2).
- An invalid Range is ignored (section 14.2): an unknown unit, `bytes=5-2`, or a Range in a request
  other than GET.
- Of several ranges, those beyond the end are left out; the answer is 416 if none is left (14.1.2),
  with an error in JSON like all others.
- If-None-Match may hold a list, weak tags or `*` (section 13.1.2).
"""

from __future__ import annotations

import json
import re
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_RANGES = re.compile(r"bytes\s*=\s*(.+)", re.IGNORECASE)
_RANGE = re.compile(r"(\d{1,18})-(\d{0,18})|-(\d{1,18})")


class HttpRules:
    """ASGI middleware for these rules."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_head = scope["method"] == "HEAD"
        scope = {**scope, "headers": _headers(scope)}
        if is_head:
            await _answer_head(self._app, scope, receive, send)
        elif _range_of(scope) is not None:
            await _answer_range(self._app, scope, receive, send)
        else:
            await self._app(scope, receive, send)


def error_body(code: str, message: str) -> dict[str, object]:
    """
    >>> error_body("not_found", "There is no such song.")
    {'error': {'code': 'not_found', 'message': 'There is no such song.'}}
    """
    return {"error": {"code": code, "message": message}}


def _headers(scope: MutableMapping[str, Any]) -> list[tuple[bytes, bytes]]:
    """The request's headers, without an invalid Range."""
    headers: list[tuple[bytes, bytes]] = list(scope["headers"])
    text = _range_of(scope)
    if text is not None and scope["method"] == "GET" and is_range(text):
        return headers
    return _without_range(headers)


def _range_of(scope: MutableMapping[str, Any]) -> str | None:
    """The content of the Range header; None if there is none, or more than one."""
    found = [value for name, value in scope["headers"] if name == b"range"]
    return found[0].decode("latin-1") if len(found) == 1 else None


def _without_range(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name != b"range"]


def is_range(text: str) -> bool:
    """Whether the content of a Range header asks for bytes, first to last.

    >>> is_range("bytes=0-99"), is_range("bytes=5-2"), is_range("lines=1-2")
    (True, False, False)
    """
    pieces = _pieces(text)
    return bool(pieces) and all(
        found is not None and not (found[2] and int(found[2]) < int(found[1]))
        for found in map(_RANGE.fullmatch, pieces)
    )


def _pieces(text: str) -> list[str]:
    """The ranges in a Range header of bytes; empty elements of the list do not count (5.6.1)."""
    match = _RANGES.fullmatch(text.strip())
    return [] if match is None else [p for piece in match[1].split(",") if (p := piece.strip())]


def within(text: str, size: int) -> str | None:
    """The same Range header without the ranges that a file of `size` bytes cannot satisfy.

    >>> within("bytes=0-1, 99-, -0, -3", 10), within("bytes=99-", 10)
    ('bytes=0-1,-3', None)
    """

    def starts_inside(piece: str) -> bool:
        first, _, last = piece.partition("-")
        return int(first) < size if first else int(last) > 0 and size > 0

    pieces = [piece for piece in _pieces(text) if starts_inside(piece)]
    return f"bytes={','.join(pieces)}" if pieces else None


async def _answer_range(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the ranges that can be satisfied, if only some of them can.

    A route that refuses a Range states the size of its file ("Content-Range: bytes */SIZE"); it is
    asked again without the ranges beyond that size. Reading twice is safe: only GET has ranges.
    """
    asked = _range_of(scope) or ""
    fewer: str | None = None
    refused = False

    async def send_unless_refused(message: Message) -> None:
        nonlocal fewer, refused
        if message["type"] == "http.response.start" and message["status"] == 416:
            size = re.fullmatch(
                r"bytes \*/(\d+)", MutableHeaders(scope=message).get("content-range", "")
            )
            kept = within(asked, int(size[1])) if size else None
            fewer = kept if kept is None or _pieces(kept) != _pieces(asked) else None
            if refused := fewer is None:
                await _refuse_range(message, send)
        if fewer is None and not refused:
            await send(message)

    await app(scope, receive, send_unless_refused)
    if fewer is not None:
        headers = [*_without_range(scope["headers"]), (b"range", fewer.encode("latin-1"))]
        await app({**scope, "headers": headers}, receive, send)


async def _refuse_range(start: Message, send: Send) -> None:
    """Answer as all errors are answered, with the headers of a 416 that has no such content."""
    body = json.dumps(error_body("beyond_end", "The range lies beyond the end.")).encode()
    headers = MutableHeaders(scope=start)
    headers["Content-Type"], headers["Content-Length"] = "application/json", str(len(body))
    await send(start)
    await send({"type": "http.response.body", "body": body})


async def _answer_head(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a HEAD as the matching GET, without the content."""
    answered = False

    async def send_headers(message: Message) -> None:
        nonlocal answered
        if message["type"] == "http.response.start" and not answered:
            answered = True
            await send(message)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def receive_or_leave() -> Message:
        # A stream of events never ends, but the client of a HEAD leaves after the headers.
        return {"type": "http.disconnect"} if answered else await receive()

    await app({**scope, "method": "GET", "unbraid.head": True}, receive_or_leave, send_headers)


def is_head(scope: MutableMapping[str, Any]) -> bool:
    """Whether the request wants only headers."""
    return bool(scope.get("unbraid.head", False))


def allow_head(headers: MutableHeaders) -> None:
    """Add HEAD to lists of allowed methods that have GET."""
    allowed = [name.strip() for name in headers.get("allow", "").split(",") if name.strip()]
    if "GET" in allowed and "HEAD" not in allowed:
        headers["Allow"] = ", ".join([*allowed, "HEAD"])


def is_known(etag: str, if_none_match: str | None) -> bool:
    """Whether the content of an If-None-Match header names this tag.

    >>> is_known('"a"', 'W/"b", W/"a"'), is_known('"a"', "*"), is_known('"a"', None)
    (True, True, False)
    """
    if if_none_match is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in tags or etag.removeprefix("W/") in tags
