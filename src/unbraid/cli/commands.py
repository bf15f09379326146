"""The table of commands, and the parser of each."""

from __future__ import annotations

import argparse
import difflib
import importlib
import re
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import NoReturn

from unbraid.models.default import DEFAULT_MODEL

WRONG_REQUEST = 2

COMMANDS = {
    "separate": "separate songs into stems (also without the word: unbraid song.mp3)",
    "batch": "separate a library with many processes, and resume after any stop",
    "models": "list, show, download or import models",
    "evaluate": "score estimates against references, or a model on a dataset",
    "train": "train a model with a recipe, or resume a run",
    "data": "make, check and remix datasets",
    "report": "make a page about an evaluation or about a song's stems",
    "listen": "build, serve and analyse listening tests",
    "serve": "run a web page and an HTTP API for separating songs",
    "bench": "measure the fastest settings for a model on this machine",
    "export": "write a model as ONNX, to run it without torch",
    "cache": "show or clear what unbraid keeps on disk",
    "completion": "print the completion script for your shell, or the man page",
}
"""Command -> its description. Its module is `unbraid.cli.NAME`, with `add_arguments` and `run`."""


# How argparse says it; the quotes around the choices depend on Python's version.
_WRONG_CHOICE = re.compile(r"argument (.+?): invalid choice: (.+) \(choose from (.*)\)")


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and name the nearest option."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2 and one line that names the nearest option."""
        known = [option for action in actions_of(self) for option in action.option_strings]
        unknown = message.removeprefix("unrecognized arguments: ").split()
        if len(unknown) < len(message.split()) and unknown and unknown[0].startswith("-"):
            message = f"unknown option {unknown[0]}{did_you_mean(unknown[0], known)}"
        elif wrong := _WRONG_CHOICE.fullmatch(message):
            option, got, choices = wrong.groups()
            option = self.prog if "|" in option else option  # which is a list of sub-commands
            words = [word.strip(" '") for word in choices.split(",")]
            message = f"{option} takes {', '.join(words)}; got {got}"
        self.exit(WRONG_REQUEST, f"unbraid: {message} (see {self.prog} --help)\n")


def add_model(parser: argparse.ArgumentParser, what: str = "model") -> None:
    """The option that chooses a model; `what` says in the help which one."""
    parser.add_argument(
        "-m",
        "--model",
        "-n",
        metavar="NAME|PATH",
        default=DEFAULT_MODEL,
        help=f"{what} (%(default)s)",
    )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ "; did you mean NEAREST?", or "" if no word is similar."""
    near = nearest(word.partition("=")[0], known)
    return f"; did you mean {near}?" if near else ""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word with the most similar spelling; None if no word is similar."""
    found = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.7)
    return found[0] if found else None


def load_command(command: str) -> ModuleType:
    """The module of a command."""
    return importlib.import_module(f"unbraid.cli.{command}")


def make_parser(command: str) -> Parser:
    """The parser of a command, with its options and examples."""
    module = load_command(command)
    parser = Parser(
        prog=f"unbraid {command}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    return parser


def actions_of(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """All options and arguments of a parser, also those of its sub-commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for part in action.choices.values():
                yield from actions_of(part)


def overview() -> str:
    """The text of `unbraid --help`."""
    rows = "\n".join(f"  {name:10} {text}" for name, text in COMMANDS.items())
    return (
        "usage: unbraid [COMMAND] ...\n\n"
        "Music source separation: a song goes in, its stems come out.\n\n"
        f"commands:\n{rows}\n\n"
        "  unbraid song.mp3           writes drums, bass, other, vocals to separated/song\n"
        "  unbraid COMMAND --help     all options of a command\n"
        "  unbraid --version"
    )
