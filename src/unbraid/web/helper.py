"""Short work in a process of its own: one request in, progress and one answer out."""

from __future__ import annotations

import queue
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from unbraid.errors import UnbraidError
from unbraid.separation.progress import CancelToken
from unbraid.web.messages import Learned, Message, ReadProgress, Refused, from_line, to_line
from unbraid.web.processes import environment, python


def ask(
    module: str,
    request: Message,
    most_s: float,
    cancel: CancelToken,
    on_progress: Callable[[float], object],
) -> Learned:
    """Let the `main` of a module answer a request.

    Args:
        module: reads the request from stdin and answers on stdout, as `unbraid.web.reader` does.
        request: a message.
        most_s: time after which the process is ended.
        cancel: ends it at once.
        on_progress: called with 0 to 1.
    Raises:
        Cancelled: if asked to stop.
        TimeoutError: if it took too long.
        EOFError: if it ended without an answer.
        UnbraidError: what it answered, if it refused.
    """
    process = subprocess.Popen(
        python(module),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=environment(),
    )
    assert process.stdin is not None
    lines: queue.Queue[str | None] = queue.Queue()
    ear = threading.Thread(target=_drain, args=(process, lines), daemon=True)
    ear.start()
    end = time.monotonic() + most_s
    try:
        with suppress(OSError):  # a dead process sends no answer, which is reported below
            process.stdin.write(to_line(request))
            process.stdin.flush()
        while True:
            cancel.check()
            if time.monotonic() > end:
                raise TimeoutError
            try:
                line = lines.get(timeout=0.2)
            except queue.Empty:
                continue
            if line is None:
                raise EOFError
            message = from_line(line)
            if isinstance(message, Learned):
                return message
            if isinstance(message, Refused):
                raise UnbraidError(message.reason)
            if isinstance(message, ReadProgress):
                on_progress(message.fraction)
    finally:
        process.kill()
        process.wait()
        ear.join()
        with suppress(OSError):
            process.stdin.close()


def _drain(process: subprocess.Popen[str], into: queue.Queue[str | None]) -> None:
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            into.put(line)
    into.put(None)
