"""Your own defaults: a TOML file with one table per command.

    # ~/.config/unbraid/config.toml
    [separate]
    format = "flac"
    out = "~/Music/stems"
    residual = true

The file is `UNBRAID_CONFIG`, else `unbraid/config.toml` in `XDG_CONFIG_HOME` or `~/.config`. The
command line overrides it; `--no-config` ignores it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unbraid.cli.commands import COMMANDS, did_you_mean
from unbraid.errors import SettingsError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]

_PATHS = frozenset({"out", "data", "repo", "config"})


def config_path() -> Path:
    """The path of the file, which may not exist."""
    own = os.environ.get("UNBRAID_CONFIG")
    if own:
        return Path(own).expanduser()
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "unbraid" / "config.toml"


def with_defaults(
    command: str, parser: argparse.ArgumentParser, arguments: Sequence[str]
) -> list[str]:
    """The arguments, with the options of the config file before them.

    Raises:
        SettingsError: if the file cannot be read, or names an unknown command or option.
    """
    arguments = list(arguments)
    if "--no-config" in arguments:
        arguments.remove("--no-config")
        return arguments
    path = config_path()
    try:
        if not path.is_file():
            return arguments
    except OSError:  # the home of another user, say
        return arguments
    tables = _read(path)
    for name in tables:
        if name not in COMMANDS:
            raise SettingsError(f"{path}: [{name}] is not a command{did_you_mean(name, COMMANDS)}")
    return [*_options(path, parser, tables.get(command, {})), *arguments]


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: cannot be read ({error})") from error
    wrong = [name for name, table in content.items() if not isinstance(table, dict)]
    if wrong:
        raise SettingsError(f"{path}: {wrong[0]!r} is outside a table; write [separate] above it")
    return content


def _options(path: Path, parser: argparse.ArgumentParser, table: dict[str, Any]) -> list[str]:
    known = {
        option.removeprefix("--"): action
        for action in parser._actions
        for option in action.option_strings
        if option.startswith("--") and option != "--help"
    }
    options = []
    for key, value in table.items():
        name = key.replace("_", "-")
        if name not in known:
            raise SettingsError(f"{path}: unknown option {key!r}{did_you_mean(name, known)}")
        options += _spelled(path, name, known[name], value)
    return options


def _spelled(path: Path, name: str, action: argparse.Action, value: Any) -> list[str]:
    """One entry as a command-line argument."""
    flag = action.nargs == 0
    if flag != isinstance(value, bool):
        wanted = "true or false" if flag else "a value"
        raise SettingsError(f"{path}: {name} takes {wanted}, got {value!r}")
    if flag:
        return [f"--{name}"] if value else []
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    if name in _PATHS:
        text = str(Path(text).expanduser())
    return [f"--{name}={text}"]
