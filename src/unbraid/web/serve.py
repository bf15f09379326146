"""Sockets and uvicorn: the app on a port, with limits for each connection."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from unbraid.costs.processor_rate import multiply_adds_per_s
from unbraid.errors import SettingsError
from unbraid.models.default import DEFAULT_MODEL
from unbraid.web.app import make_app
from unbraid.web.demo import add_demo
from unbraid.web.http_rules import error_body
from unbraid.web.limits import Limits
from unbraid.web.offers import Offers
from unbraid.web.ports import listening_socket
from unbraid.web.security import HEADERS, host_names, is_loopback
from unbraid.web.service import Service
from unbraid.web.shelf import Downloaders, Shelf
from unbraid.web.storage import Storage, data_root

_HEADER_S = 15.0
_LINGER_S = 2.0  # after the answer to an invalid request
_LOOK_S = 0.2
_HEADER_BYTES = 32 << 10
_CONNECTIONS = 512
_KEEP_ALIVE_S = 20


@dataclass(frozen=True)
class ServerSettings:
    """Settings of one server.

    Attributes:
        host, port: address to listen on; port 0 picks a free one.
        data: folder of its songs; None for the user's own.
        model: name or path of the default model.
        devices: one worker for each, as in `Separator`.
        threads: CPU threads of each worker.
        key: of the API; None for open access.
        allow_hosts: further host names of the server.
        public_url: address of a reverse proxy in front of the server, which may use its host name.
        downloads: who may download models: "local" only this machine, "all" everyone who can use
            the server, "none" nobody.
        demo: whether the demo song is in the library.
        limits: of uploads, queue and library.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    data: Path | None = None
    model: str = DEFAULT_MODEL
    devices: tuple[str, ...] = ("auto",)
    threads: int | None = None
    key: str | None = None
    allow_hosts: tuple[str, ...] = ()
    public_url: str | None = None
    downloads: Downloaders = "local"
    demo: bool = False
    limits: Limits = field(default_factory=Limits)


class Site:
    """A server that is bound to its port, not yet answering.

    Args:
        settings: how it runs.
        on_start: called when the server answers and the demo song, if any, can be played.
    Raises:
        SettingsError: if the port or folder cannot be used, the public address is none, or the demo
            song is missing.
        ModelError: if no model has that name.
    """

    def __init__(
        self, settings: ServerSettings, on_start: Callable[[], None] = lambda: None
    ) -> None:
        self._public_url, names = _public(settings.public_url)
        models = Offers(settings.model)
        rate = multiply_adds_per_s()  # before workers take the processor
        shelf = Shelf(settings.downloads, settings.limits.free_bytes, models.refresh, rate)
        with ExitStack() as held:
            self._socket = held.enter_context(listening_socket(settings.host, settings.port))
            storage = Storage(settings.data if settings.data is not None else data_root())
            held.callback(storage.close)
            self.service = Service(
                *(storage, settings.limits, models, settings.key),
                *(settings.devices, settings.threads, shelf),
            )
            held.callback(self.service.store.close)
            if settings.demo:
                add_demo(self.service)
            held.pop_all()  # from here on, the service releases them when it stops
        app = make_app(
            self.service,
            host_names(settings.host, (*settings.allow_hosts, *names)),
            not is_loopback(settings.host),
        )
        config = uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            log_level="error",
            server_header=False,
            limit_concurrency=_CONNECTIONS,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=3,
            h11_max_incomplete_event_size=_HEADER_BYTES,
        )
        self._server = _Server(config, self.service, on_start, settings.demo)

    @property
    def url(self) -> str:
        """The address of the page: one that other computers can open, if it listens for them."""
        if self._public_url is not None:
            return self._public_url
        host, port = self._socket.getsockname()[:2]
        if host in ("0.0.0.0", "::"):
            host = _own_address(self._socket.family) or host
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{port}/"

    def run(self) -> None:
        """Answer requests until it is stopped."""
        self._server.run(sockets=[self._socket])

    def end(self) -> None:
        """Make `run` return; from any thread."""
        self._server.should_exit = True


def _public(url: str | None) -> tuple[str | None, tuple[str, ...]]:
    """The address with its last slash, without which relative links do not work, and its host."""
    if url is None:
        return None, ()
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
        raise SettingsError(
            f"--public-url is an address such as https://example.org/stems/, got {url!r}"
        )
    return url.rstrip("/") + "/", (host,)


def _own_address(family: int) -> str | None:
    """The address of this computer in its network; None without one. Nothing is sent."""
    far = "192.0.2.1" if family == socket.AF_INET else "2001:db8::1"  # kept for documentation
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((far, 9))
        except OSError:
            return None
        own: str = probe.getsockname()[0]
        return own


class _Server(uvicorn.Server):
    """Disconnects listeners when it stops, as they would never leave by themselves."""

    def __init__(
        self,
        config: uvicorn.Config,
        service: Service,
        on_start: Callable[[], None],
        demo_first: bool,
    ) -> None:
        super().__init__(config)
        self._service = service
        self._on_start = on_start
        self._demo_first = demo_first

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        while self._demo_first and self._service.demo_is_due() and not self.should_exit:
            await asyncio.sleep(_LOOK_S)
        self._on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._service.hub.close()
        await super().shutdown(sockets)
        if self.force_exit:  # uvicorn would leave this out, and log that it was not done
            await self.lifespan.shutdown()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # uvicorn would raise the signal again; for this server a signal is a normal end.
        self.force_exit = self.should_exit
        self.should_exit = True


class _Protocol(H11Protocol):
    """Closes connections that never finish a request's headers, or send too much."""

    _header_timer: asyncio.TimerHandle | None = None
    _refused = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return  # data that arrive after the connection was ended
        super().data_received(data)
        if self._refused:
            return
        if self.conn.their_state is h11.IDLE:
            self._wait_for_headers()
        else:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._stop_waiting()  # until the next request, limited by the keep-alive time

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer invalid requests, and endless headers with 431 (RFC 6585, section 5).

        Closing at once would cut off the answer, as unread data reset the connection: so further
        data are read and dropped for a moment.
        """
        too_long = len(self.conn.trailing_data[0]) > _HEADER_BYTES
        status = 431 if too_long else 400
        code, text = (
            ("headers_too_long", f"Headers take {_HEADER_BYTES} bytes at most.")
            if too_long
            else ("bad_request", "This is not an HTTP request.")
        )
        body = json.dumps(error_body(code, text)).encode()
        headers = {
            **HEADERS,
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Connection": "close",
        }
        event = h11.Response(status_code=status, headers=[*headers.items()])
        with suppress(h11.LocalProtocolError):  # an answer has already started
            for part in (event, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(part) or b"")
        self._refused = True
        self._stop_waiting()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_LINGER_S, self.transport.close)

    def _wait_for_headers(self) -> None:
        if self._header_timer is None:
            self._header_timer = self.loop.call_later(_HEADER_S, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None
