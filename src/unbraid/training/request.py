"""What a run is asked to be: its recipe and data, from the request and the folder of the run."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unbraid.errors import SettingsError
from unbraid.training.config import Recipe
from unbraid.training.recipes import read_recipe
from unbraid.training.start import recipe_on
from unbraid.training.state import STATE
from unbraid.training.tables import plain_recipe

RECIPE, ABOUT = "recipe.toml", "run.json"

_FREE = ("description", "epochs", "data.workers", "data.cache_gb", "guard", "run", "validation")
"""Keys of a recipe that may change between two parts of a run."""


@dataclass(frozen=True)
class RunRequest:
    """A request to train.

    Attributes:
        folder: of the run.
        recipe: name or path; None for the recipe in the folder.
        settings: changes to the recipe, "key.path=value".
        data: datasets; empty for those of the run in the folder.
        data_weights: the share of excerpts of each; None for shares by size.
        start_from: a model to start from.
        seed, max_steps: as on the command line.
    """

    folder: Path
    recipe: str | None = None
    settings: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    data_weights: tuple[float, ...] | None = None
    start_from: str | None = None
    seed: int | None = None
    max_steps: int | None = None


def settle(request: RunRequest) -> tuple[Recipe, dict[str, Any]]:
    """The recipe and the other facts of a run, from the request and the folder.

    Raises:
        SettingsError: if they contradict each other.
    """
    folder = request.folder
    about = read_about(folder)
    recipe = wanted_recipe(request, about)
    if about:
        _check_same(recipe, read_recipe(folder / RECIPE), folder)
    data = [str(Path(root).absolute()) for root in request.data] or about.get("data", [])
    if not data:
        raise SettingsError("a run needs data: --data ROOT, with ROOT/train/TRACK/STEM.wav")
    weights = list(request.data_weights) if request.data_weights else about.get("data_weights")
    if about and weights != about.get("data_weights"):
        raise SettingsError(
            f"{str(folder)!r} holds a run with the data weights {about.get('data_weights')}, now "
            f"they are {weights}; give another --run, or leave them out"
        )
    start = recipe.start.model
    return recipe, {**about, "data": data, "data_weights": weights, "start": start}


def wanted_recipe(request: RunRequest, about: dict[str, Any]) -> Recipe:
    """The recipe of a request, with its seed and on the model that it starts from.

    Args:
        request: its data and `max_steps` do not matter.
        about: the run that its folder holds, as `read_about` gives it; empty for a new run.
    Raises:
        SettingsError: if a setting is wrong, or there is neither a recipe nor a run.
    """
    folder, settings = request.folder, [*request.settings]
    if request.seed is not None:
        settings.append(f"seed={request.seed}")
    if request.recipe is None and not about:
        raise SettingsError(f"{str(folder)!r} holds no run to resume; give a RECIPE")
    recipe = read_recipe(request.recipe or folder / RECIPE, settings)
    start = request.start_from or recipe.start.model or about.get("start", "")
    if not start:
        return recipe
    recipe = dataclasses.replace(recipe, start=dataclasses.replace(recipe.start, model=start))
    if about:
        return dataclasses.replace(recipe, model=read_recipe(folder / RECIPE).model)
    adapted = recipe_on(recipe, start)
    _check_kept(request.settings, recipe, adapted)
    return adapted


def _check_kept(settings: Sequence[str], asked: Recipe, adapted: Recipe) -> None:
    """No setting of the command line is lost to the model that a run starts from."""
    new, old = _flat(plain_recipe(adapted)), _flat(plain_recipe(asked))
    for setting in settings:
        key = setting.partition("=")[0].strip()
        if key.startswith("model.") and new.get(key) != old.get(key):
            raise SettingsError(
                f"{key} is that of {adapted.start.model}, which the run starts from: "
                f"{new.get(key)!r}, not {old.get(key)!r}; leave it out"
            )


def _check_same(asked: Recipe, kept: Recipe, folder: Path) -> None:
    """A run resumes with the settings it was started with."""
    new, old = _flat(plain_recipe(asked)), _flat(plain_recipe(kept))
    first = "model.architecture"  # another network tells more than the keys that follow from it
    for key in sorted(new.keys() | old.keys(), key=lambda key: (key != first, key)):
        free = any(key == name or key.startswith(f"{name}.") for name in _FREE)
        if not free and new.get(key) != old.get(key):
            raise SettingsError(
                f"{str(folder)!r} holds a run with {key} = {old.get(key)!r}, now it is "
                f"{new.get(key)!r}; give another --run, or resume it without RECIPE and --set: "
                f"unbraid train --run {folder}"
            )


def _flat(table: dict[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found.update(_flat(value, f"{before}{key}."))
        else:
            found[before + key] = value
    return found


def read_about(folder: Path) -> dict[str, Any]:
    """What is known of the run that a folder holds; nothing if it holds none.

    Raises:
        SettingsError: if it cannot be read.
    """
    if not (folder / STATE).exists():
        return {}
    try:
        about: dict[str, Any] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{str(folder / ABOUT)!r} cannot be read: {error}") from error
    return about
