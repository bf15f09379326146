"""Standard streams that cannot fail: a run never stops because it cannot print.

A stream may be closed (`2>&-`, a service, a window without a console), full (`> /dev/full`), or a
pipe without a reader. Output that cannot be written is dropped. For standard output the first error
is remembered, so that the exit code can say that results were lost.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import sys
from typing import TextIO


class KeptStream(io.RawIOBase):
    """The raw end of an output stream, which drops what it cannot write.

    Args:
        raw: the stream as it was.

    Attributes:
        error: the first error of writing; None as long as all went well.
    """

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def isatty(self) -> bool:
        return self.error is None and self._raw.isatty()

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Write some of `data`; returns how much of it was written or dropped."""
        while self.error is None:
            try:
                count = self._raw.write(data)
            except (OSError, ValueError) as error:
                self.error = error if isinstance(error, OSError) else OSError(str(error))
                break
            if count is not None:
                return count
            with contextlib.suppress(OSError, ValueError):  # a non-blocking stream that is full
                select.select([], [self._raw], [], 1.0)
        return len(data)


def keep_streams() -> KeptStream | None:
    """Make the standard streams of this process safe; returns the raw end of standard output.

    None if standard output is not a file.
    """
    _fill_descriptors()
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123
    sys.stderr, _ = _kept(sys.stderr)
    sys.stdout, output = _kept(sys.stdout)
    return output


def _fill_descriptors() -> None:
    """Open descriptors 0, 1 and 2 if closed: else a song's file could get one that libraries print
    to."""
    for number, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):
                null = os.open(os.devnull, flags)
                if null != number:
                    os.dup2(null, number)
                    os.close(null)


def _kept(stream: TextIO | None) -> tuple[TextIO, KeptStream | None]:
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8"), None  # noqa: PTH123
    buffer = stream.buffer if isinstance(stream, io.TextIOWrapper) else None
    buffered = isinstance(buffer, io.BufferedWriter)  # not with PYTHONUNBUFFERED
    inner = buffer.raw if isinstance(buffer, io.BufferedWriter) else buffer
    if not isinstance(stream, io.TextIOWrapper) or not isinstance(inner, io.RawIOBase):
        return stream, None
    raw = KeptStream(inner)
    # A name that the terminal cannot encode is shown escaped, and is not an error.
    errors = "backslashreplace" if stream.errors == "strict" else stream.errors
    kept = io.TextIOWrapper(
        io.BufferedWriter(raw) if buffered else raw,  # type: ignore[type-var]
        encoding=stream.encoding,
        errors=errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
    return kept, raw


def lost_output(output: KeptStream | None) -> str | None:
    """Why standard output could not be written; None if it could, or if the reader left."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    error = output.error if output is not None else None
    if error is None or error.errno == errno.EPIPE:
        return None
    return f"standard output cannot be written: {(error.strerror or str(error)).lower()}"
