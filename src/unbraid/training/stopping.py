"""Ends of a run: a request to stop takes effect after the step; a second run is refused."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from unbraid.errors import SettingsError
from unbraid.locks import try_lock

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
_LOCK = ".lock"
_SAME_S = 2.0  # torchrun repeats signals that the terminal has sent to all processes


class StopFlag:
    """A request to stop.

    >>> StopFlag().asked()
    False
    """

    def __init__(self) -> None:
        self._raised = False
        self._since = 0.0

    def asked(self) -> bool:
        """Whether there is a request to stop."""
        return self._raised

    def impatient(self) -> bool:
        """Whether the request is old enough that a further one is a new request."""
        return self._raised and time.monotonic() - self._since > _SAME_S

    def ask(self) -> None:
        """Ask to stop."""
        if not self._raised:
            self._raised, self._since = True, time.monotonic()


@contextmanager
def stop_on_signals() -> Iterator[StopFlag]:
    """Signals to end set a flag; a second one interrupts at once, as usual.

    Python handles signals only in the main thread; in other threads nothing sets the flag.
    """
    flag = StopFlag()

    def asked(number: int, frame: FrameType | None) -> None:
        if flag.impatient():
            raise KeyboardInterrupt
        flag.ask()

    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for name in _SIGNALS:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                before[number] = signal.signal(number, asked)
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def alone_in(folder: Path | None) -> Iterator[None]:
    """Lock the folder of a run, so that no other process trains in it; None locks nothing.

    The lock ends with the process, also when it is killed.

    Raises:
        SettingsError: if another process has it, or the folder cannot be made.
    """
    if folder is None:
        yield
        return
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"{str(folder)!r} is a file; give a folder for the run")
    try:
        existed = folder.is_dir()
        folder.mkdir(parents=True, exist_ok=True)
        lock = try_lock(folder / _LOCK)
    except OSError as error:
        raise SettingsError(f"{str(folder)!r} cannot hold a run: {error.strerror}") from error
    if lock is None:
        raise SettingsError(f"another process trains in {str(folder)!r}")
    try:
        yield
    finally:
        lock.close()
        if not existed and {path.name for path in folder.iterdir()} == {_LOCK}:
            (folder / _LOCK).unlink()  # the run has not started
            folder.rmdir()
