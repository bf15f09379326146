"""Files import each other in one direction only."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import jaxtyping

import unbraid
from unbraid import shapes

ROOT = Path(unbraid.__file__).parent


def modules() -> dict[str, Path]:
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = ("unbraid", *path.relative_to(ROOT).with_suffix("").parts)
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


def imported(path: Path, known: dict[str, Path]) -> set[str]:
    """The files that one imports, wherever in it and be it only for typing."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                names.add(inner if inner in known else node.module)
    return names & known.keys()


def test_no_file_imports_itself_by_way_of_others_not_even_for_typing():
    known = modules()
    graph = {name: imported(path, known) - {name} for name, path in known.items()}
    graph["unbraid"] = set()  # the face imports names from everywhere, on first use
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None


def test_nothing_but_the_front_door_imports_the_face():
    known = modules()
    importers = {name for name, path in known.items() if "unbraid" in imported(path, known)}
    assert importers <= {"unbraid.__main__"}, importers


def test_nothing_is_loaded_for_a_separation_that_others_need():
    unneeded = {"torch", "jaxtyping", "jinja2", "filelock", "asyncio", "rich", "http", "ssl"}
    unneeded |= {"importlib.metadata", "unbraid.engines.onnx.run", "unbraid.music.facts"}
    unneeded |= {"soundfile", "unbraid.pages.previews", "unbraid.zoo.public.mdx_onnx"}
    code = f"import sys, unbraid.api; print(*sorted({unneeded} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_tests_check_the_shapes_that_other_runs_only_name():
    kinds = [name for name in shapes.__all__ if hasattr(jaxtyping, name)]
    assert len(kinds) == 9
    assert all(getattr(shapes, name) is getattr(jaxtyping, name) for name in kinds)
