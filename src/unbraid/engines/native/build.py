"""Compile the kernels: `python src/unbraid/engines/native/build.py`, or install unbraid.

One library for each kind of processor, in this folder. Without a compiler there is none, and other
engines run the models. Needs only the standard library, because it runs before anything is
installed.

Linux and macOS: gcc or clang. Windows: clang-cl, or clang++ of an LLVM installation; the kernels
use vector extensions that MSVC's own compiler does not have. Only Linux has been tried.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
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

# Not -O3: gcc 12 then halves the speed of the inner loop of products (42 instead of 90 GFLOP/s).
_OPTIONS = ("-std=c++17", "-O2", "-fno-math-errno", "-ffp-contract=fast", "-shared")
_MACOS = "11.0"
"""The oldest macOS that the libraries run on: the first for both kinds of processors."""
_SYSTEMS = {
    "linux": ("-fPIC", "-pthread"),
    "darwin": ("-fPIC", "-pthread", f"-mmacosx-version-min={_MACOS}"),
}
# The standard library inside the kernels, so that a wheel needs nothing of the machine it meets.
_STATIC = ("-static-libstdc++", "-static-libgcc")

_CLANG_CL = (
    "/std:c++17",
    "/O2",
    "/clang:-fno-math-errno",
    "/clang:-ffp-contract=fast",
    "/LD",
    "/EHsc",
)
"""The same for clang-cl, which takes the options of MSVC."""


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
    usual = ["clang-cl", "clang++"] if sys.platform == "win32" else ["g++", "c++", "clang++"]
    names = [os.environ.get("CXX", ""), *usual]
    return next((found for name in names if name and (found := shutil.which(name))), None)


def platform_tag() -> str:
    """The platform of a wheel with these libraries, as its file name says it."""
    if sys.platform == "darwin":  # Python itself may be built for two kinds of processors
        return f"macosx_{_MACOS.replace('.', '_')}_{platform.machine()}"
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")


def command_line(command: str, options: Sequence[str], target: Path) -> list[str]:
    """How to compile the kernels into one library."""
    source = str(FOLDER / "kernels" / "kernels.cpp")
    name = f'UNBRAID_SOURCES="{fingerprint()}"'
    if Path(command).stem.lower() == "clang-cl":
        inner = [f"/clang:{option}" for option in options]
        exports = ["/link", *(f"/EXPORT:{function}" for function in _functions())]
        return [command, *_CLANG_CL, *inner, f"/D{name}", source, f"/Fe:{target}", *exports]
    system = list(_SYSTEMS.get(sys.platform, ()))
    if sys.platform == "win32":
        system = [f"-Wl,/EXPORT:{function}" for function in _functions()]
    return [command, *_OPTIONS, *options, f"-D{name}", source, "-o", str(target), *system]


def _functions() -> list[str]:
    """What the library exports: Windows has to be told."""
    text = (FOLDER / "kernels" / "kernels.cpp").read_text()
    return sorted(set(re.findall(r"\b(unbraid_\w+)\(", text)))


def build() -> list[Path]:
    """Compile what this machine can run and is not there yet.

    Returns:
        the libraries; none if there is no compiler.
    """
    flavours = FLAVOURS.get(platform.machine().lower(), {}) if compiler() else {}
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
    if command is None:
        return False
    scratch = path.with_suffix(f".{os.getpid()}.tmp")
    # Some Linux systems have the static standard library in a package of its own.
    ways = [[*_STATIC, *options], [*options]] if sys.platform == "linux" else [[*options]]
    for way in ways:
        if subprocess.run(command_line(command, way, scratch), check=False).returncode == 0:
            with scratch.open("rb") as file:
                os.fsync(file.fileno())
            scratch.replace(path)
            return True
    scratch.unlink(missing_ok=True)
    return False


if __name__ == "__main__":
    made = build()
    print("\n".join(map(str, made)) or "no C++ compiler: other engines will run the models")
