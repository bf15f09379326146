"""Compiles the kernels whenever unbraid is installed or a wheel is made; goes on without them."""

from __future__ import annotations

import runpy
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class KernelsHook(BuildHookInterface):  # type: ignore[type-arg]
    """A wheel that carries kernels is one for its platform."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before files are collected."""
        if self.target_name != "wheel":
            return
        builder = runpy.run_path(f"{self.root}/src/unbraid/engines/native/build.py")
        built = builder["build"]()
        if built:
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
            build_data["artifacts"] += [
                f"/src/unbraid/engines/native/{path.name}" for path in built
            ]
