"""File systems of a test's own, so small that they fill up."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_PATIENCE_S = 20.0


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """A new folder that holds `size`, such as "3m"; skips where nothing can be mounted."""
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    made = subprocess.run([mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)])
    if made.returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    _unmount(folder)


def _unmount(folder: Path) -> None:
    """A process that another test forked may hold a file there for a moment."""
    end = time.monotonic() + _PATIENCE_S
    while True:
        done = subprocess.run(["umount", str(folder)], capture_output=True, text=True)
        if done.returncode == 0:
            return
        assert time.monotonic() < end, done.stderr
        time.sleep(0.1)
