"""A reverse proxy that serves an app below a path of its own, as nginx and Caddy do."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_OWN = ("connection", "keep-alive", "transfer-encoding", "content-length")


@contextlib.contextmanager
def behind(port: int, path: str) -> Iterator[str]:
    """The address under which the server on a local port can be used meanwhile.

    Args:
        path: such as "/stems/"; everything else is answered with 404.
    """

    class Proxy(BaseHTTPRequestHandler):
        def answer(self) -> None:
            if not self.path.startswith(path):
                self.send_error(404)
                return
            size = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(size)
            far = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            headers = dict(self.headers.items())
            with contextlib.closing(far), contextlib.suppress(ConnectionError):
                far.request(self.command, "/" + self.path.removeprefix(path), body, headers)
                got = far.getresponse()
                self.send_response_only(got.status)
                for name, value in got.getheaders():
                    if name.lower() not in _OWN or name.lower() == "content-length":
                        self.send_header(name, value)
                self.send_header("Connection", "close")
                self.end_headers()
                while piece := got.read1(1 << 16):  # events are passed on as they come
                    self.wfile.write(piece)
                    self.wfile.flush()

        do_GET = do_HEAD = do_POST = do_DELETE = do_PATCH = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{path}"
    finally:
        server.shutdown()
        server.server_close()
