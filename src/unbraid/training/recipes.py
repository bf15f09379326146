"""Recipes by name or path, with the recipes they build on and settings from the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from unbraid.errors import SettingsError
from unbraid.models.registry import did_you_mean
from unbraid.training.config import Recipe
from unbraid.training.tables import plain_recipe, recipe_from

if sys.version_info >= (3, 11):
    import tomllib
else:  # the package that became the standard library's tomllib
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]

_PACKAGED = Path(__file__).parents[1] / "recipes"
_CHECKOUT = Path(__file__).parents[3] / "recipes"
_DEEPEST = 20


def recipe_folder() -> Path:
    """The folder of bundled recipes: in the package, or at the root of a checkout."""
    return _PACKAGED if _PACKAGED.is_dir() else _CHECKOUT


def recipe_names() -> list[str]:
    """Names of the bundled recipes: "hybrid", "ablations/no-ema"."""
    top = recipe_folder()
    return sorted(p.relative_to(top).with_suffix("").as_posix() for p in top.rglob("*.toml"))


def read_recipe(name: str | Path, settings: Iterable[str] = ()) -> Recipe:
    """The recipe of a name or a file.

    Args:
        name: a name from `recipe_names`, or the path of a TOML file.
        settings: changes, each "key.path=value"; values in TOML, texts also without quotes.
    Raises:
        SettingsError: if no recipe has that name, or a key is wrong; names file and key.
    """
    path = find_recipe(name)
    table = _with_bases(path)
    for setting in settings:
        _put(table, setting)
    try:
        return recipe_from(table)
    except SettingsError as error:
        raise SettingsError(f"{_shown(path)}: {error}") from error


def find_recipe(name: str | Path) -> Path:
    """The file of a recipe.

    Raises:
        SettingsError: if there is none; names the nearest.
    """
    path = Path(name)
    if path.is_file():
        return path
    shipped = recipe_folder() / f"{name}.toml"
    if shipped.is_file():
        return shipped
    known = recipe_names()
    near = did_you_mean(str(name), set(known))
    top = [known_name for known_name in known if "/" not in known_name and known_name != "base"]
    raise SettingsError(
        f"no recipe of the name and no file at the path {str(name)!r}{near}; "
        f"some that ship: {', '.join(top)}"
    )


def find_recipes(where: str) -> dict[str, Path]:
    """Recipes to run in turn: all of a folder (also a bundled one), or a list "a,b,c".

    Returns:
        name to file, sorted by name for a folder, as given for a list.
    Raises:
        SettingsError: if there is none.
    """
    for folder in (Path(where), recipe_folder() / where, recipe_folder() / Path(where).name):
        if folder.is_dir():
            found = {path.stem: path for path in sorted(folder.glob("*.toml"))}
            if not found:
                raise SettingsError(f"{str(folder)!r} holds no recipes (NAME.toml)")
            return found
    paths = [find_recipe(name.strip()) for name in where.split(",") if name.strip()]
    names = [path.stem for path in paths]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise SettingsError(f"two recipes of a grid are called {twice!r}; each needs a name")
    return dict(zip(names, paths, strict=True))


def write_recipe(recipe: Recipe) -> str:
    """The recipe as TOML, with every key; `read_recipe` reads it back."""
    table = plain_recipe(recipe)
    lines = [f"{k} = {_toml(v)}" for k, v in table.items() if not isinstance(v, dict)]
    for name, section in table.items():
        if isinstance(section, dict):
            lines += ["", f"[{name}]"]
            lines += [f"{key} = {_toml(value)}" for key, value in section.items()]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if value is None:
        return '"none"'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    # JSON strings are valid TOML, except for DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _with_bases(path: Path, depth: int = 0) -> dict[str, Any]:
    """The table of a file, merged over those of its bases."""
    if depth > _DEEPEST:
        raise SettingsError(f"{_shown(path)}: its bases lead in a circle")
    table = _read(path)
    base = table.pop("base", None)
    if base is None:
        return table
    if not isinstance(base, str):
        raise SettingsError(f"{_shown(path)}: base is the name of a recipe, got {base!r:.80}")
    sibling = path.parent / f"{base}.toml"
    below = _with_bases(sibling if sibling.is_file() else find_recipe(base), depth + 1)
    return _laid_over(below, table)


def _read(path: Path) -> dict[str, Any]:
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{_shown(path)} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{_shown(path)} is not TOML: {error}") from error
    return table


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = _laid_over(old, value) if both else value  # type: ignore[arg-type]
    return merged


def _put(table: dict[str, Any], setting: str) -> None:
    """Write "key.path=value" into a nested table, in place."""
    path, equals, text = setting.partition("=")
    steps = [step.strip() for step in path.split(".")]
    if not equals or not all(steps):
        raise SettingsError(f"a setting is key.path=value, got {setting!r:.80}")
    try:
        value = tomllib.loads(f"value = {text.strip()}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        value = text.strip()
    for step in steps[:-1]:
        table = table.setdefault(step, {})
        if not isinstance(table, dict):
            raise SettingsError(f"{path.strip()!r} has nothing below {step!r}")
    table[steps[-1]] = value


def _shown(path: Path) -> str:
    return f"recipe {str(path)!r}"
