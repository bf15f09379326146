"""Receives an uploaded song: parsed as it arrives, in constant memory, with limits.

The body is multipart/form-data with one `file` and some short fields. The song is written straight
to a new file; no name from the client is used for it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from anyio import to_thread
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from unbraid.web.limits import Limits
from unbraid.web.refusals import Refusal
from unbraid.web.shown import shown_name

_FORM_BYTES = 64 << 10  # of everything except the file
_FIELDS, _FIELD_BYTES = 20, 1000
_WRITE_BYTES = 1 << 20
_DISK_EVERY = 16 << 20
_GRACE_S = 10.0
# What its parser logs of a malformed form went to stderr; the client is told.
logging.getLogger("python_multipart").addHandler(logging.NullHandler())
_DRAIN_BYTES, _DRAIN_S = 8 << 20, 2.0


@dataclass(frozen=True)
class Upload:
    """A complete upload.

    Attributes:
        path: temporary place of the file.
        name: the client's file name, safe to show.
        fields: the other fields of the form.
        size: bytes.
    """

    path: Path
    name: str
    fields: dict[str, str]
    size: int


async def receive_upload(
    request: Request, path: Path, limits: Limits, free_bytes: Callable[[], int]
) -> Upload:
    """Receive the body of a request.

    Args:
        request: not read yet.
        path: a new file.
        limits: sizes and times.
        free_bytes: free space on the disk of `path`.
    Raises:
        Refusal: if it is not such a form, too large, too slow, or the disk is full; `path` is then
            deleted.
    """
    body = _Body(request, limits)
    try:
        boundary = _boundary(request)
        _check_length(request, limits)
        with path.open("wb", buffering=0) as file:
            form = _Form(boundary, file, limits)
            await _receive(body, form, limits, free_bytes)
        return form.result(path)
    except Refusal as refusal:
        path.unlink(missing_ok=True)
        await body.drain()
        refusal.headers["Connection"] = "close"
        raise
    except BaseException:  # the client left, or the server stops
        path.unlink(missing_ok=True)
        raise


async def _receive(body: _Body, form: _Form, limits: Limits, free_bytes: Callable[[], int]) -> None:
    checked = -_DISK_EVERY
    async for chunk in body.chunks():
        form.feed(chunk)
        if form.size - checked >= _DISK_EVERY:
            checked = form.size
            if free_bytes() < limits.free_bytes:
                raise Refusal(507, "disk_full", "The disk of this server is full.")
        if len(form.buffer) >= _WRITE_BYTES:
            await to_thread.run_sync(form.write)
    form.finish()
    await to_thread.run_sync(form.keep)


class _Body:
    """The body of a request, in pieces."""

    def __init__(self, request: Request, limits: Limits) -> None:
        self._request = request
        self._limits = limits
        self._ended = False

    async def chunks(self) -> AsyncIterator[bytes]:
        """Pieces of the body, while they arrive fast enough."""
        begun, count = time.monotonic(), 0
        while not self._ended:
            try:
                chunk = await self._next(self._limits.idle_s)
            except asyncio.TimeoutError:  # another class than TimeoutError before Python 3.11
                raise Refusal(408, "too_slow", "No data arrived for too long; try again.") from None
            count += len(chunk)
            taken = time.monotonic() - begun
            due = self._limits.slowest_bytes_s * (taken - _GRACE_S)
            if taken > self._limits.upload_s or (taken > _GRACE_S and count < due):
                raise Refusal(408, "too_slow", "The upload was too slow and was stopped.")
            if chunk:
                yield chunk

    async def drain(self) -> None:
        """Read on for a moment: many clients read the answer only after sending everything."""
        end, count = time.monotonic() + _DRAIN_S, 0
        with suppress(asyncio.TimeoutError, ClientDisconnect):
            while not self._ended and count < _DRAIN_BYTES:
                count += len(await self._next(max(0.0, end - time.monotonic())))

    async def _next(self, most_s: float) -> bytes:
        message = await asyncio.wait_for(self._request.receive(), most_s)
        if message["type"] == "http.disconnect":
            self._ended = True
            raise ClientDisconnect
        self._ended = not message.get("more_body", False)
        chunk: bytes = message.get("body", b"")
        return chunk


class _Form:
    """A form that arrives in pieces."""

    def __init__(self, boundary: bytes, file: IO[bytes], limits: Limits) -> None:
        self.buffer = bytearray()
        self.size = 0
        self._fields: dict[str, str] = {}
        self._name: str | None = None
        self._file = file
        self._limits = limits
        self._all = 0
        self._parts = 0
        self._ended = False
        self._header, self._value = b"", b""
        self._disposition = b""
        self._field: str | None = None  # None during the file itself
        self._content = bytearray()
        callbacks: Any = {
            "on_part_begin": self._on_part,
            "on_header_field": self._on_header,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers,
            "on_part_data": self._on_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks)
        except FormParserError:
            raise _malformed() from None

    def feed(self, chunk: bytes) -> None:
        """Parse the next piece of the body."""
        self._all += len(chunk)
        if self._all > self._limits.upload_bytes + _FORM_BYTES:
            raise _too_large(self._limits)
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise _malformed() from None

    def finish(self) -> None:
        """The body is complete."""
        if not self._ended:
            raise _malformed()

    def write(self) -> None:
        """Write the received part of the file to disk."""
        rest = memoryview(self.buffer)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise Refusal(507, "disk_full", "The disk of this server is full.") from error
        finally:
            rest.release()
        self.buffer = bytearray()

    def keep(self) -> None:
        """Write the rest of the file, and wait until all of it is on the disk."""
        self.write()
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise Refusal(507, "disk_full", "The disk of this server is full.") from error

    def result(self, path: Path) -> Upload:
        if self._name is None:
            raise Refusal(422, "no_file", "This form has no song; use a field named 'file'.")
        if self.size == 0:
            raise Refusal(422, "empty", "This file is empty.")
        return Upload(path, shown_name(self._name), self._fields, self.size)

    def _on_part(self) -> None:
        self._parts += 1
        if self._parts > _FIELDS:
            raise Refusal(400, "bad_form", "This form has too many fields.")
        self._disposition, self._content = b"", bytearray()

    def _on_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header, self._value = b"", b""

    def _on_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name != "file":
            self._field = name
            return
        if self._name is not None:
            raise Refusal(400, "one_song", "Send one song at a time.")
        self._field = None
        self._name = options.get(b"filename", b"").decode("utf-8", "replace")

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._field is not None:
            self._content += data[start:end]
            if len(self._content) > _FIELD_BYTES:
                raise Refusal(400, "bad_form", "A setting of this form is too long.")
            return
        self.size += end - start
        if self.size > self._limits.upload_bytes:
            raise _too_large(self._limits)
        self.buffer += data[start:end]

    def _on_part_end(self) -> None:
        if self._field is not None:
            self._fields[self._field] = self._content.decode("utf-8", "replace")

    def _on_end(self) -> None:
        self._ended = True


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data":
        raise Refusal(
            415, "bad_form", "Send the song as multipart/form-data, in a field named 'file'."
        )
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise _malformed()
    return boundary


def _check_length(request: Request, limits: Limits) -> None:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limits.upload_bytes + _FORM_BYTES:
        raise _too_large(limits)


def _too_large(limits: Limits) -> Refusal:
    most = f"{limits.upload_bytes / 1e6:.0f} MB"
    return Refusal(413, "too_large", f"This file is too large: this server takes up to {most}.")


def _malformed() -> Refusal:
    return Refusal(400, "bad_form", "This form cannot be read; it is cut off or malformed.")
