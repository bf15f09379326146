"""What a process leaves that is killed before its first change of the disk, before its second, ...

    python deaths.py MODULE FUNCTION FOLDER

calls FUNCTION of MODULE with FOLDER/whole, and then with FOLDER/1, FOLDER/2, and so on, all of them
copies of FOLDER/before. Each of the numbered calls has a process of its own that ends by `kill -9`
just before change 1, 2, ... of the disk: a file that is opened for writing, renamed or removed, a
folder that is made or removed. Processes are forks of this one, so nothing is imported twice.
"""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_MOST = 500


def leave_at_every_change(function: Callable[[Path], object], top: Path) -> list[Path]:
    """The folders that `function` leaves when it dies before each of its changes of the disk.

    What it leaves when it comes to its end is in `top/whole`.

    Args:
        function: of the top of a module; takes the folder that it may change.
        top: holds those folders; what is in `top/before` is in each of them at the start.
    """
    command = [sys.executable, __file__, function.__module__, function.__qualname__, str(top)]
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [top / str(number) for number in range(1, int(done.stdout) + 1)]


def die_everywhere(function: Callable[[Path], object], top: Path) -> int:
    """Returns how often it died."""
    function(_copy(top, "whole"))
    for number in range(1, _MOST):
        folder = _copy(top, str(number))
        pid = os.fork()
        if not pid:
            _live(function, folder, number)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code == 0:
            return number - 1
        if code != -signal.SIGKILL:
            raise RuntimeError(f"call {number} ended with {code}")
    raise RuntimeError(f"call {_MOST} has not come to its end")


def _copy(top: Path, name: str) -> Path:
    (top / "before").mkdir(exist_ok=True)
    return Path(shutil.copytree(top / "before", top / name))


def _live(function: Callable[[Path], object], folder: Path, changes: int) -> None:
    code = 1
    try:
        left = iter(range(changes - 1))

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            if _is_change(event, arguments, folder) and next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        function(folder)
        code = 0
    finally:
        sys.stderr.flush()
        os._exit(code)


def _is_change(event: str, arguments: tuple[Any, ...], folder: Path) -> bool:
    if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & _WRITES):
        return False
    if event != "open" and event not in _CHANGES:
        return False
    path = os.fsdecode(arguments[0]) if isinstance(arguments[0], (str, bytes)) else ""
    return not path.startswith("/") or path.startswith(str(folder))  # others are below a descriptor


if __name__ == "__main__":
    module, name, top = sys.argv[1:]
    print(die_everywhere(getattr(importlib.import_module(module), name), Path(top)))
