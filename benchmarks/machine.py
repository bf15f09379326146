"""On what machine the figures were measured, and how the package lay there."""

from __future__ import annotations

import compileall
import os
import platform
from importlib.metadata import version
from pathlib import Path

import unbraid


def describe() -> dict[str, str]:
    """Processor, cores, memory and versions."""
    return {
        "processor": _field("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": str(os.cpu_count()),
        "memory": _field("/proc/meminfo", "MemTotal"),
        "python": platform.python_version(),
        "torch": version("torch"),
        "unbraid": version("unbraid") if _installed("unbraid") else "working tree",
    }


def compile_package() -> None:
    """Keep the package as bytecode, as its installation does.

    Where Python may not write bytecode, each start of a checkout would compile all that it imports,
    for a third of a second.
    """
    compileall.compile_dir(Path(unbraid.__file__).parent, quiet=1)


def _installed(name: str) -> bool:
    try:
        version(name)
    except Exception:
        return False
    return True


def _field(file: str, name: str) -> str:
    path = Path(file)
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")
