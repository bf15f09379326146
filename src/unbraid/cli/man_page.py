"""The man page, made from the same parsers as `--help`."""

from __future__ import annotations

import argparse

from unbraid.cli.commands import COMMANDS, actions_of, load_command, make_parser, overview
from unbraid.version import __version__

_EXIT_CODES = """0
all done
1
some inputs failed; the others are complete
2
the request itself is wrong
130
interrupted"""


def man_page() -> str:
    """The page in troff, as `man` reads it."""
    parts = [
        f'.TH UNBRAID 1 "" "unbraid {__version__}" "User Commands"',
        ".SH NAME",
        "unbraid \\- separate songs into stems",
        ".SH SYNOPSIS",
        ".B unbraid",
        "[\\fICOMMAND\\fR] ...",
        ".SH DESCRIPTION",
        ".nf",
        _escaped(overview()),
        ".fi",
    ]
    for command in COMMANDS:
        parts += _section(command)
    parts += [".SH EXIT STATUS"]
    lines = iter(_EXIT_CODES.splitlines())
    for code, meaning in zip(lines, lines, strict=True):
        parts += [".TP", f".B {code}", meaning]
    return "\n".join(parts) + "\n"


def _section(command: str) -> list[str]:
    parser = make_parser(command)
    parts = [f".SH UNBRAID {command.upper()}", ".nf", _escaped(load_command(command).__doc__ or "")]
    parts.append(".fi")
    for action in actions_of(parser):
        if action.help == argparse.SUPPRESS:
            continue
        names = ", ".join(action.option_strings) or str(action.metavar or action.dest)
        value = "" if not action.option_strings or action.nargs == 0 else f" {_metavar(action)}"
        text = (action.help or "") % {"default": action.default, "prog": parser.prog}
        parts += [".TP", f"\\fB{_escaped(names)}\\fR{_escaped(value)}", _escaped(text)]
    return parts


def _metavar(action: argparse.Action) -> str:
    if action.metavar is not None:
        return str(action.metavar)
    return "|".join(map(str, action.choices or ())) or action.dest.upper()


def _escaped(text: str) -> str:
    lines = text.strip().replace("\\", "\\e").replace("-", "\\-").splitlines()
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in lines)
