"""Compile the kernels: `python src/unbraid/engines/native/build.py`, or install unbraid.

One library for each kind of processor, beside this file. Without a compiler there is none, and
unbraid computes with torch. Needs nothing but the standard library, since it runs before anything
is installed.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
SUFFIXES = {"darwin": ".dylib", "win32": ".dll"}

FLAVOURS = {
    "x86_64": {"v4": "-march=x86-64-v4", "v3": "-march=x86-64-v3"},
    "amd64": {"v4": "-march=x86-64-v4", "v3": "-march=x86-64-v3"},
    "aarch64": {"base": "-O2"},
    "arm64": {"base": "-O2"},
}
"""For each machine the kinds of its processors, the most demanding first, and how to compile."""

# Not -O3: gcc 12 then halves the speed of the inner loop of products (42 in place of 90 GFLOP/s).
_OPTIONS = ("-std=c++17", "-O2", "-fno-math-errno", "-ffp-contract=fast", "-fPIC", "-shared")


def fingerprint() -> str:
    """Of the sources: a library that was built from others is not used."""
    digest = hashlib.sha256()
    for path in sorted((FOLDER / "kernels").iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def library_path(flavour: str) -> Path:
    """Where the library for a kind of processor lies."""
    return FOLDER / f"kernels-{flavour}{SUFFIXES.get(sys.platform, '.so')}"


def compiler() -> str | None:
    """The C++ compiler: $CXX, or the first of the usual names."""
    names = [os.environ.get("CXX", ""), "g++", "c++", "clang++"]
    return next((found for name in names if name and (found := shutil.which(name))), None)


def build() -> list[Path]:
    """Compile what this machine can run and is not there yet.

    Returns:
        the libraries; none if there is no compiler.
    """
    flavours = FLAVOURS.get(platform.machine().lower(), {})
    made = []
    for number, (flavour, option) in enumerate(flavours.items(), 1):
        path = library_path(flavour)
        if not is_current(path):
            print(f"compiling kernels {number} of {len(flavours)} ({option})", flush=True)
            if not compile_to(path, option):
                continue
        made.append(path)
    return made


def is_current(path: Path) -> bool:
    """Whether a library was built from these sources, after the last change of this file."""
    if compiler() is None or not path.is_file():
        return False
    changed = Path(__file__).stat().st_mtime
    return path.stat().st_mtime >= changed and fingerprint().encode() in path.read_bytes()


def compile_to(path: Path, *options: str) -> bool:
    """Compile one library, whole or not at all; False if there is no compiler, or it fails."""
    command = compiler()
    if command is None or sys.platform == "win32":
        return False
    scratch = path.with_suffix(f".{os.getpid()}.tmp")
    arguments = [*_OPTIONS, *options, f'-DUNBRAID_SOURCES="{fingerprint()}"', "-pthread"]
    source = FOLDER / "kernels" / "kernels.cpp"
    run = subprocess.run([command, *arguments, str(source), "-o", str(scratch)], check=False)
    if run.returncode:
        scratch.unlink(missing_ok=True)
        return False
    scratch.replace(path)
    return True


if __name__ == "__main__":
    made = build()
    print("\n".join(map(str, made)) or "no C++ compiler: unbraid will compute with torch")
