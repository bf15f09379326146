"""What goes wrong with one song, as that song's own error or result."""

from __future__ import annotations

import errno
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from unbraid.audio.container import shown
from unbraid.engines.devices import is_out_of_memory
from unbraid.errors import AudioError, AudioWriteError, Cancelled, DiskFull, UnbraidError
from unbraid.tracks.names import OutputPlan
from unbraid.tracks.result import TrackResult, failed

T = TypeVar("T")

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


@contextmanager
def naming(plan: OutputPlan) -> Iterator[None]:
    """What the machine refuses, as an error that names the song."""
    try:
        yield
    except (OSError, MemoryError, RuntimeError) as error:
        if not isinstance(error, OSError) and not is_out_of_memory(error):
            raise
        kind = DiskFull if is_disk_full(error) else AudioError
        raise kind(f"{shown(plan.track.path)}: {_reason(error)}") from error


@contextmanager
def naming_the_disk(plan: OutputPlan) -> Iterator[None]:
    """Turn errors of the disk, at once or later, into errors that name the file."""
    try:
        yield
    except (AudioWriteError, OSError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(cause, OSError):
            raise
        kind = DiskFull if is_disk_full(cause) else AudioWriteError
        raise kind(
            f"{shown(plan.track.path)}: its stems cannot be written below "
            f"{shown(plan.root)}: {(cause.strerror or str(cause)).lower()}"
        ) from error


def attempted(plan: OutputPlan, step: Callable[[], T]) -> T | TrackResult:
    """What the step returns. If it fails, the song's result; `Cancelled` is raised."""
    try:
        with naming(plan):
            return step()
    except Cancelled:
        raise
    except UnbraidError as error:
        return failed(plan, str(error), disk_full=isinstance(error, DiskFull))
    except Exception as error:
        if os.environ.get("UNBRAID_DEBUG"):
            return failed(plan, traceback.format_exc())
        return failed(
            plan,
            f"internal error: {type(error).__name__}: {error} (set UNBRAID_DEBUG=1 to see where)",
        )


def is_disk_full(error: BaseException) -> bool:
    """Whether an error of the system says that a disk or a quota is full."""
    return isinstance(error, OSError) and error.errno in _FULL


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError):
        where = f" ({shown(Path(error.filename))})" if error.filename else ""
        return f"{(error.strerror or str(error)).lower()}{where}"
    return "there is not enough memory; use shorter segments (--segment) or --max-memory"
