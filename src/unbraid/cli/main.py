"""The command `unbraid`: which command, what its end means to the shell.

Exit codes: 0 all done; 1 some inputs failed, the others are complete; 2 the request itself is
wrong; 130 interrupted.

Nothing heavy is imported before a command runs, so that help comes at once.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from unbraid import __version__
from unbraid.cli.memory import use_large_pages
from unbraid.errors import UnbraidError

OK, SOME_FAILED, WRONG_REQUEST, INTERRUPTED = 0, 1, 2, 130

COMMANDS = {
    "separate": "separate songs into stems (also without the word: unbraid song.mp3)",
    "models": "list, show, fetch or import models",
    "evaluate": "score estimates against references, or a model on a dataset",
    "train": "train a model by a recipe, or go on with a run",
    "data": "make, check and remix datasets",
    "report": "a page about an evaluation, or about stems",
    "listen": "listening tests: build, serve, analyse",
    "serve": "a web page and an HTTP API for separating songs",
    "bench": "measure what runs a model fastest on this machine",
    "export": "write a model as ONNX, to run without torch",
}
"""Command -> what it does. Its module is `unbraid.cli.NAME`, with `add_arguments` and `run`."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_REQUEST, f"unbraid: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(list(arguments))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else WRONG_REQUEST
    except UnbraidError as error:
        print(f"unbraid: {error}", file=sys.stderr)
        return WRONG_REQUEST
    except KeyboardInterrupt:
        print("unbraid: interrupted", file=sys.stderr)
        return INTERRUPTED
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        print(f"unbraid: {_missing(error.name, arguments)}", file=sys.stderr)
        return WRONG_REQUEST
    except BrokenPipeError:  # the reader of our output has gone, which is its right
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


_EXTRAS = {
    "torch": "torch",
    "mido": "train",
    "python_stretch": "train",
    "scipy": "train",
    "fastapi": "web",
    "multipart": "web",
    "uvicorn": "web",
    "onnx": "onnx",
    "onnxruntime": "onnx",
}
"""Optional packages -> the extra that installs them."""

_EXTRA_OF_COMMAND = {"train": "train", "data": "train", "serve": "web", "export": "onnx"}


def _missing(package: str, arguments: Sequence[str]) -> str:
    """The sentence about an optional package that is not installed."""
    command = next(iter(arguments), "")
    extra = _EXTRA_OF_COMMAND.get(command, _EXTRAS[package])
    return (
        f"this needs {package}, which is not installed: pip install 'unbraid[{extra}]', or in a "
        f"copy of the repository pip install '.[{extra}]'"
    )


def _dispatch(arguments: list[str]) -> int:
    if not arguments:
        print(_help(), file=sys.stderr)
        return WRONG_REQUEST
    if arguments[0] in ("-h", "--help", "help"):
        print(_help())
        return OK
    if arguments[0] in ("-V", "--version"):
        print(f"unbraid {__version__}")
        return OK
    command = arguments.pop(0) if arguments[0] in COMMANDS else "separate"
    use_large_pages()
    module = importlib.import_module(f"unbraid.cli.{command}")
    parser = Parser(
        prog=f"unbraid {command}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    if getattr(module, "HAS_ACTIONS", False):  # argparse cannot mix options into these
        options = parser.parse_args(arguments)
    else:
        options = parser.parse_intermixed_args(_without_dashes(arguments))
    _stop_politely()
    code: int = module.run(options)
    sys.stdout.flush()
    return code


def _without_dashes(arguments: list[str]) -> list[str]:
    """What follows "--" is no option, also if it begins with a dash: "-x.wav" is "./-x.wav".

    (Parsing options between inputs, argparse forgets what "--" meant.)
    """
    if "--" not in arguments:
        return arguments
    end = arguments.index("--")
    names = [f"./{name}" if name.startswith("-") else name for name in arguments[end + 1 :]]
    return arguments[:end] + names


def _stop_politely() -> None:
    """Let a request to end clean up as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) != signal.SIG_IGN:
            signal.signal(getattr(signal, name), interrupt)


def _help() -> str:
    rows = "\n".join(f"  {name:10} {text}" for name, text in COMMANDS.items())
    return (
        "usage: unbraid [COMMAND] ...\n\n"
        "Music source separation: a song goes in, its stems come out.\n\n"
        f"commands:\n{rows}\n\n"
        "  unbraid song.mp3                 drums, bass, other and vocals below separated/song\n"
        "  unbraid COMMAND --help           all options of a command\n"
        "  unbraid --version"
    )
