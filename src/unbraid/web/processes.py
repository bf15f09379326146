"""How the server starts processes of its own package."""

from __future__ import annotations

import os
import sys

_SECRETS = ("UNBRAID_KEY",)
# `python -m` would look for modules in the folder the server was started in, before all others; a
# file there named like one of the standard library would be run.
# Ctrl-C reaches all processes of a terminal; the server ends its own by itself.
_START = (
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    "import sys; sys.path[:] = [folder for folder in sys.path if folder]; "
    "from {module} import main; sys.exit(main())"
)


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs `main` of a module."""
    return [sys.executable, "-c", _START.format(module=module), *arguments]


def environment() -> dict[str, str]:
    """What such a process may know of ours: no keys."""
    return {name: value for name, value in os.environ.items() if name not in _SECRETS}
