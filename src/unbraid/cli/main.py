"""The command `unbraid`: finds the command, runs it, and returns the exit code.

Exit codes: 0 all done; 1 some inputs failed, the others are complete; 2 the request itself is
wrong; 130 interrupted.

Nothing heavy is imported before a command runs, so that help appears at once.
"""

from __future__ import annotations

import gc
import glob
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from unbraid.cli.commands import (
    COMMANDS,
    WRONG_REQUEST,
    load_command,
    make_parser,
    nearest,
    overview,
)
from unbraid.cli.defaults import with_defaults
from unbraid.cli.memory import use_large_pages
from unbraid.cli.streams import keep_streams, lost_output
from unbraid.errors import SettingsError, UnbraidError, how_to_install
from unbraid.version import __version__

OK, SOME_FAILED, INTERRUPTED = 0, 1, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code.

    Without `argv` it uses that of this process, and makes the standard streams safe.
    """
    output = keep_streams() if argv is None else None
    code = _run(list(sys.argv[1:] if argv is None else argv))
    if argv is not None:  # this process goes on
        gc.unfreeze()  # what `no_collection` has left out
    lost = lost_output(output)
    if lost is None or code != OK:
        return code
    print(f"unbraid: {lost}", file=sys.stderr)
    return SOME_FAILED


def _run(arguments: list[str]) -> int:
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
    except OSError as error:
        if error.filename is None or os.environ.get("UNBRAID_DEBUG"):
            raise
        reason = (error.strerror or str(error)).lower()
        print(f"unbraid: {str(error.filename)!r}: {reason}", file=sys.stderr)
        return WRONG_REQUEST
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRAS:
            raise
        print(f"unbraid: {_missing(package, arguments)}", file=sys.stderr)
        return WRONG_REQUEST


_OTHER_WORDS = {
    **dict.fromkeys(("web", "server", "app", "gui"), "serve"),
    **dict.fromkeys(("split", "demix"), "separate"),
    **dict.fromkeys(("download", "fetch"), "models pull"),
}
"""What other programs call a command of ours."""

_EXTRAS = {
    "torch": "torch",
    "mido": "songs",
    "python_stretch": "train",
    "scipy": "train",
    "fastapi": "web",
    "multipart": "web",
    "uvicorn": "web",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "ray": "ray",
}
"""Optional packages -> the extra that installs them."""

_EXTRA_OF_COMMAND = {"train": "train", "data": "songs", "serve": "web", "export": "onnx"}


def _missing(package: str, arguments: Sequence[str]) -> str:
    """The sentence about an optional package that is not installed."""
    command = next(iter(arguments), "")
    extra = _EXTRA_OF_COMMAND.get(command, _EXTRAS[package])
    return f"this needs {package}, which is not installed: {how_to_install(extra)}"


def _dispatch(arguments: list[str]) -> int:
    if not arguments:
        print(overview(), file=sys.stderr)
        return WRONG_REQUEST
    if arguments[0] in ("-h", "--help", "help"):
        named = arguments[1] if len(arguments) > 1 else ""
        print(make_parser(named).format_help() if named in COMMANDS else overview())
        return OK
    if arguments[0] in ("-V", "--version"):
        print(f"unbraid {__version__}")
        return OK
    command = _command(arguments[0])
    if arguments[0] == command:
        del arguments[0]
    use_large_pages()
    module, parser = load_command(command), make_parser(command)
    if getattr(module, "HAS_ACTIONS", False):  # argparse cannot mix options into these
        options = parser.parse_args(arguments)
    else:
        arguments = with_defaults(command, parser, arguments)
        options = parser.parse_intermixed_args(_without_dashes(arguments))
    _stop_politely()
    code: int = module.run(options)
    return code


def _command(first: str) -> str:
    """The command that the first argument means; a song means `separate`.

    Raises:
        SettingsError: for a web address, and for a mistyped command.
    """
    if first in COMMANDS:
        return first
    if first.startswith(("http://", "https://")):
        raise SettingsError(
            f"{first:.80} is a web address, and unbraid downloads nothing; save the song as a "
            "file and give its path"
        )
    plain = first.isalpha() and not Path(first).exists() and not glob.has_magic(first)
    words = [*COMMANDS, *_OTHER_WORDS, "help"]
    near = nearest(first, words) if plain else None
    if near is not None:
        raise SettingsError(
            f"there is no command and no file {first!r}; did you mean "
            f"unbraid {_OTHER_WORDS.get(near, near)}?"
        )
    return "separate"


def _without_dashes(arguments: list[str]) -> list[str]:
    """Arguments after "--" are not options, even with a dash: "-x.wav" becomes "./-x.wav".

    (When options are allowed between inputs, argparse ignores "--".)
    """
    if "--" not in arguments:
        return arguments
    end = arguments.index("--")
    names = [
        f"./{name}" if name.startswith("-") and name != "-" else name
        for name in arguments[end + 1 :]
    ]
    return arguments[:end] + names


def _stop_politely() -> None:
    """Make SIGTERM and SIGHUP clean up as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) != signal.SIG_IGN:
            signal.signal(getattr(signal, name), interrupt)
