"""Compiles the kernels when unbraid is installed or a wheel is made; goes without if it cannot.

The kernels are plain shared libraries without Python's ABI, so one wheel per platform serves every
Python: `py3-none-PLATFORM`. `auditwheel repair` makes it a manylinux wheel.
"""

from __future__ import annotations

import runpy
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class KernelsHook(BuildHookInterface):  # type: ignore[type-arg]
    """A wheel with kernels belongs to one platform; one without them to any."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before files are collected."""
        if self.target_name != "wheel":
            return
        builder = runpy.run_path(f"{self.root}/src/unbraid/engines/native/build.py")
        built = builder["build"]()
        if built:
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{builder['platform_tag']()}"
            build_data["artifacts"] += [
                f"/src/unbraid/engines/native/{path.name}" for path in built
            ]
