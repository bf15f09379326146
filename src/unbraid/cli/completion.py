"""Print the completion script for your shell, or the man page.

unbraid completion bash > ~/.local/share/bash-completion/completions/unbraid
unbraid completion zsh > ~/.zfunc/_unbraid            (a folder in your $fpath)
unbraid completion man > ~/.local/share/man/man1/unbraid.1
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`unbraid completion bash|zsh|tcsh|man`."""
    parser.add_argument(
        "what", choices=("bash", "zsh", "tcsh", "man"), help="your shell, or man for the man page"
    )


def run(options: argparse.Namespace) -> int:
    """Print it; returns the exit code."""
    if options.what == "man":
        from unbraid.cli.man_page import man_page

        print(man_page(), end="")
        return 0
    import shtab

    print(shtab.complete(_whole_parser(), shell=options.what))
    return 0


def _whole_parser() -> argparse.ArgumentParser:
    """One parser with all commands, for shtab."""
    from unbraid.cli.commands import COMMANDS, load_command

    parser = argparse.ArgumentParser(prog="unbraid")
    commands = parser.add_subparsers()
    for name, text in COMMANDS.items():
        load_command(name).add_arguments(commands.add_parser(name, help=text.replace("%", "%%")))
    return parser
