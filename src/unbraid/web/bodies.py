"""How long the body of a request may be."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 2_000_000


class ShortBodies:
    """ASGI middleware: refuses bodies above `MOST_BYTES` while they arrive.

    Uploads (`POST /api/jobs`) have limits of their own.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (scope["method"], scope["path"]) == ("POST", "/api/jobs"):
            await self._app(scope, receive, send)
            return
        arrived = 0

        async def receive_counted() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            if arrived > MOST_BYTES:
                raise HTTPException(413, "This request is too long")
            return message

        await self._app(scope, receive_counted, send)
