"""Access rules, checked for every request before anything else handles it.

- The Host header must name this server, so that pages of other sites cannot read answers after DNS
  rebinding.
  (Starlette's TrustedHostMiddleware knows names only: here any IP address may be allowed, two Host
  headers are refused, and the answer is this API's own JSON.)
- Requests that a browser makes for another site are refused: by Origin, and by Sec-Fetch-Site.
- With a key, everything below /api wants it, by header or by a cookie that `POST /api/login` sets.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import socket
import time
from collections import deque
from collections.abc import Collection, Mapping
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unbraid.web.refusals import Refusal

COOKIE = "unbraid_key"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_OPEN = ("/api/settings", "/api/login")
_READS = ("GET", "HEAD")
_TRIES, _TRIES_S = 10, 60.0

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
        "img-src 'self'; "
        "connect-src 'self'; media-src 'self'; manifest-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), interest-cohort=()",
}


class Keys:
    """The API key, if there is one, and who has tried to guess it.

    Args:
        key: None lets everybody in.
    """

    def __init__(self, key: str | None) -> None:
        self._key = key
        self._failed: deque[float] = deque(maxlen=_TRIES)

    @property
    def needed(self) -> bool:
        """Whether requests need a key."""
        return self._key is not None

    def fits(self, key: str) -> bool:
        """Whether this is the key, compared in constant time."""
        return self._key is not None and hmac.compare_digest(self._key.encode(), key.encode())

    def cookie(self) -> str:
        """The cookie value that a browser keeps instead of the key."""
        return hmac.new((self._key or "").encode(), b"unbraid cookie", hashlib.sha256).hexdigest()

    def lets_in(self, headers: Mapping[str, str]) -> bool:
        """Whether a request has the key, or needs none."""
        if not self.needed:
            return True
        kind, _, key = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.fits(key.strip()):
            return True
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return morsel is not None and hmac.compare_digest(
            morsel.value.encode(), self.cookie().encode()
        )

    def login(self, key: str) -> None:
        """Check a key that somebody typed.

        Raises:
            Refusal: 401 if it is another, 429 after too many of those.
        """
        now = time.monotonic()
        if len(self._failed) == _TRIES and now - self._failed[0] < _TRIES_S:
            raise Refusal(429, "too_many_tries", "Too many wrong keys; wait a minute.")
        if not self.fits(key):
            self._failed.append(now)
            raise Refusal(401, "wrong_key", "This is not the key.")


def host_names(host: str, allowed: Collection[str] = ()) -> frozenset[str]:
    """Names under which a server that listens on `host` may be called."""
    names = {*_LOOPBACK, host.strip("[]").lower(), *(name.lower() for name in allowed)}
    if not is_loopback(host):
        own = socket.gethostname().lower()
        names |= {own, f"{own.partition('.')[0]}.local"}
    return frozenset(names)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens there."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_from_here(scope: Scope) -> bool:
    """Whether a request comes from this machine, and not through a proxy."""
    headers = Headers(scope=scope)
    if any(name in headers for name in ("forwarded", "via", "x-forwarded-for", "x-real-ip")):
        return False
    address = (scope.get("client") or ("",))[0]
    name = re.sub(r":\d+$", "", headers.get("host", "").lower())
    return is_loopback(address) and name.strip("[]") in _LOOPBACK


class Guard:
    """ASGI middleware: checks requests, and adds headers to answers.

    Args:
        app: what answers.
        names: as `host_names` gives them.
        any_address: whether plain IP addresses will do as well; a name cannot be bent to look like
            one.
        keys: the API key.
    """

    def __init__(
        self, app: ASGIApp, names: frozenset[str], any_address: bool, keys: Keys
    ) -> None:  # fmt: skip
        self._app = app
        self._names = names
        self._any_address = any_address
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # there are no websockets here

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            self._check(scope)
        except Refusal as refusal:
            answer = JSONResponse(
                refusal.body(), refusal.status, {**refusal.headers, "Connection": "close"}
            )
            await answer(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _check(self, scope: Scope) -> None:
        headers, path = Headers(scope=scope), scope["path"]
        hosts = headers.getlist("host")
        host = hosts[0].lower() if len(hosts) == 1 else ""
        if not self._knows(host):
            raise Refusal(421, "unknown_host", "This server does not answer to that name.")
        self._check_origin(headers, host, scope["method"], path)
        if path.startswith("/api/") and path not in _OPEN and not self._keys.lets_in(headers):
            raise Refusal(
                401, "needs_key", "This server wants its key.", {"WWW-Authenticate": "Bearer"}
            )

    def _knows(self, host: str) -> bool:
        match = re.fullmatch(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?", host)
        if match is None:
            return False
        name = match[1].strip("[]").rstrip(".")
        if name in self._names:
            return True
        if not self._any_address:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _check_origin(self, headers: Headers, host: str, method: str, path: str) -> None:
        origin = headers.get("origin")
        foreign = origin is not None and origin.lower().partition("://")[2] != host
        site = headers.get("sec-fetch-site", "none").lower()
        if site not in ("none", "same-origin"):
            visits = headers.get("sec-fetch-mode") == "navigate" and method in _READS
            foreign = foreign or not visits or path.startswith("/api/")
        if foreign:
            raise Refusal(403, "other_site", "Requests from other sites are refused.")
