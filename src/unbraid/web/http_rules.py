"""HTTP as RFC 9110 has it, where the routes' own libraries differ.

- HEAD answers on every route that GET does, with the same headers and no content (section 9.3.2).
- A Range that cannot be understood is ignored (section 14.2): an unknown unit, `bytes=5-2`, and
  any Range but that of a GET.
- If-None-Match may hold a list, weak tags or `*` (section 13.1.2).
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_RANGES = re.compile(r"bytes\s*=\s*(.+)", re.IGNORECASE)
_RANGE = re.compile(r"(\d{1,18})-(\d{0,18})|-(\d{1,18})")


class HttpRules:
    """ASGI middleware for all of it."""

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
        else:
            await self._app(scope, receive, send)


def _headers(scope: MutableMapping[str, Any]) -> list[tuple[bytes, bytes]]:
    """The request's headers, without a Range that means nothing."""
    headers: list[tuple[bytes, bytes]] = list(scope["headers"])
    ranges = [value for name, value in headers if name == b"range"]
    if len(ranges) == 1 and scope["method"] == "GET" and is_range(ranges[0].decode("latin-1")):
        return headers
    return [(name, value) for name, value in headers if name != b"range"]


def is_range(text: str) -> bool:
    """Whether the content of a Range header asks for bytes, first to last.

    >>> is_range("bytes=0-99"), is_range("bytes=5-2"), is_range("lines=1-2")
    (True, False, False)
    """
    match = _RANGES.fullmatch(text.strip())
    if match is None:
        return False
    for piece in match[1].split(","):
        found = _RANGE.fullmatch(piece.strip())
        if found is None or (found[2] and int(found[2]) < int(found[1])):
            return False
    return True


async def _answer_head(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a HEAD as the GET it stands for, and leave the content out."""
    answered = False

    async def send_headers(message: Message) -> None:
        nonlocal answered
        if message["type"] == "http.response.start" and not answered:
            answered = True
            await send(message)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def receive_or_leave() -> Message:
        # A stream of events would never end; whoever asked by HEAD is gone once it is answered.
        return {"type": "http.disconnect"} if answered else await receive()

    await app({**scope, "method": "GET", "unbraid.head": True}, receive_or_leave, send_headers)


def is_head(scope: MutableMapping[str, Any]) -> bool:
    """Whether only the headers of an answer are wanted."""
    return bool(scope.get("unbraid.head", False))


def allow_head(headers: MutableHeaders) -> None:
    """Name HEAD wherever GET is named as allowed."""
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
