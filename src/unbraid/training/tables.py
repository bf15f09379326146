"""Recipes from plain tables and back; errors name the key."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from unbraid.errors import SettingsError
from unbraid.models.base import ModelSpec
from unbraid.models.limits import check_segment
from unbraid.models.registry import (
    architectures,
    config_class,
    did_you_mean,
    is_composite,
)
from unbraid.training.config import SHARED, ModelRecipe, Recipe, ValidationRecipe, model_member
from unbraid.words import counted


def recipe_from(table: Mapping[str, Any]) -> Recipe:
    """The recipe that a nested table of plain values describes.

    Raises:
        SettingsError: for an unknown key, naming the nearest; for a value of the wrong type or out
            of its range; for an invalid config of the model.

    >>> recipe_from({"optimizer": {"lr": 1e-4}}).optimizer.lr
    0.0001
    """
    recipe: Recipe = _fill(Recipe, table, "")
    _check(recipe)
    return recipe


def plain_recipe(recipe: Recipe) -> dict[str, Any]:
    """The recipe as a table for `recipe_from`, with every key."""
    table: dict[str, Any] = _plain(recipe)
    settings = table["model"].pop("settings")
    table["model"].update(settings)
    return table


def known_keys() -> set[str]:
    """All keys with their dots: "optimizer.lr", "model.width"."""
    keys = set()
    for name, kind in typing.get_type_hints(Recipe).items():
        keys.add(name)
        if dataclasses.is_dataclass(kind) and kind is not ModelRecipe:
            keys |= {f"{name}.{entry.name}" for entry in dataclasses.fields(kind)}
    for architecture in (*architectures(), _TWO_RATES):
        keys |= {f"model.{name}" for name in _model_keys(architecture)}
    return keys | {"model.architecture"}


_TWO_RATES = "two_rate_demucs"
"""Short for two networks of Hybrid Demucs; see `training.config.model_member`."""


def _model_keys(architecture: str) -> set[str]:
    """The settings of a model in a recipe."""
    if architecture == _TWO_RATES:
        return _model_keys("hybrid_demucs") | {"low_width"}
    own = {entry.name for entry in dataclasses.fields(config_class(architecture))}
    return own | (set(SHARED) if is_composite(architecture) else {"ratio_masks"})


def _fill(kind: Any, table: Mapping[str, Any], path: str) -> Any:
    """A dataclass from a table, key by key."""
    if kind is ModelRecipe:
        return _model_recipe(table)
    hints = typing.get_type_hints(kind)
    values = {}
    for key, value in table.items():
        name = f"{path}{key}"
        if key not in hints:
            raise SettingsError(f"no key {name!r} in a recipe{_nearest(name)}")
        values[key] = _value(hints[key], value, name)
    try:
        return kind(**values)
    except SettingsError as error:  # the settings of `unbraid.data` check themselves
        raise SettingsError(f"{path.rstrip('.') or 'recipe'}: {error}") from error


def _nearest(name: str) -> str:
    """The nearest key: by its last word alone if that is known somewhere, else as a whole."""
    known = known_keys()
    last = name.rpartition(".")[2]
    same = sorted(key for key in known if key.rpartition(".")[2] == last)
    return f" (did you mean {same[0]!r}?)" if same else did_you_mean(name, known)


def _model_recipe(table: Mapping[str, Any]) -> ModelRecipe:
    settings = {**table}
    architecture = settings.pop("architecture", "hybrid_demucs")
    known = (*architectures(), _TWO_RATES)
    if architecture not in known:
        near = did_you_mean(str(architecture), set(known))
        raise SettingsError(f"no architecture {architecture!r}{near}; known are {', '.join(known)}")
    if not is_composite(architecture):
        settings = {"segment_s": 44.0, **settings}
    fields = _model_keys(architecture)
    for key in settings:
        if key not in fields:
            near = did_you_mean(key, fields | {"architecture"})
            raise SettingsError(f"no key 'model.{key}' for {architecture}{near}")
    return ModelRecipe(architecture, _without_none(settings))


def _without_none(value: Any) -> Any:
    """Tables in which "none" means None, which TOML does not have."""
    if isinstance(value, Mapping):
        return {key: _without_none(item) for key, item in value.items()}
    return None if value == "none" else value


def _value(hint: Any, value: Any, name: str) -> Any:
    """`value` converted to the type of the annotation `hint`."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None or value is False or value == "none":
            return None
        return _value(next(part for part in inner if part is not type(None)), value, name)
    if dataclasses.is_dataclass(hint):
        return _fill(hint, _wanted(value, Mapping, name, "a table"), f"{name}.")
    if origin is Literal:
        if value not in inner:
            raise SettingsError(f"{name} is one of {', '.join(inner)}, got {value!r:.80}")
        return value
    if origin is tuple:
        items = _wanted(value, (list, tuple), name, "a list")
        kinds = [inner[0]] * len(items) if inner[1:] == (...,) else list(inner)
        if len(kinds) != len(items):
            raise SettingsError(
                f"{name} is a list of {counted(len(kinds), 'value')}, got {list(items)!r:.80}"
            )
        return tuple(_value(kind, item, name) for kind, item in zip(kinds, items, strict=True))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        table = _wanted(value, Mapping, name, "a table")
        return {str(key): _value(inner[1], item, f"{name}.{key}") for key, item in table.items()}
    return _scalar(hint, value, name)


def _scalar(kind: Any, value: Any, name: str) -> Any:
    if kind is bool:
        return _wanted(value, bool, name, "true or false")
    if kind is str:
        return _wanted(value, str, name, "a text")
    if kind in (int, float):
        what = "a whole number" if kind is int else "a number"
        if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
            raise SettingsError(f"{name} is {what}, got {value!r}")
        if kind is int and isinstance(value, float) and value.is_integer():
            value = int(value)  # 1e3 is a float to TOML
        return kind(_wanted(value, int if kind is int else (int, float), name, what))
    return value


def _wanted(value: Any, kind: Any, name: str, what: str) -> Any:
    if not isinstance(value, kind):
        raise SettingsError(f"{name} is {what}, got {value!r:.80}")
    return value


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {e.name: _plain(getattr(value, e.name)) for e in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


_Rule = tuple[str, Callable[[Any], bool], str]
_RULES: tuple[_Rule, ...] = (
    ("epochs", lambda v: v >= 1, "1 or more"),
    ("seed", lambda v: 0 <= v < 2**63, "0 or more"),
    ("data.cache_gb", lambda v: v >= 0, "0 (none) or more"),
    ("data.workers", lambda v: -1 <= v <= 256, "-1 (as many as help) to 256"),
    ("optimizer.lr", lambda v: v > 0, "above 0"),
    ("optimizer.beta1", lambda v: 0 <= v < 1, "from 0 to below 1"),
    ("optimizer.beta2", lambda v: 0 <= v < 1, "from 0 to below 1"),
    ("optimizer.eps", lambda v: v > 0, "above 0"),
    ("optimizer.weight_decay", lambda v: v >= 0, "0 or more"),
    ("optimizer.batch_size", lambda v: v >= 1, "1 or more"),
    ("optimizer.accumulate", lambda v: v >= 1, "1 or more"),
    ("optimizer.clip_norm", lambda v: v >= 0, "0 (no limit) or more"),
    ("optimizer.warmup_steps", lambda v: v >= 0, "0 or more"),
    ("optimizer.final_lr", lambda v: 0 <= v <= 1, "from 0 to 1"),
    ("svd.weight", lambda v: v >= 0, "0 (none) or more"),
    ("svd.rank", lambda v: v >= 1, "1 or more"),
    ("svd.iterations", lambda v: v >= 1, "1 or more"),
    ("svd.probability", lambda v: 0 < v <= 1, "above 0, at most 1"),
    ("ema.batch", lambda v: all(0 < d < 1 for d in v), "a list of decays between 0 and 1"),
    ("ema.epoch", lambda v: all(0 < d < 1 for d in v), "a list of decays between 0 and 1"),
    ("loss.weights", lambda v: all(w >= 0 for w in v.values()), "0 or more for each stem"),
    ("loss.spectral", lambda v: v >= 0, "0 (none) or more"),
    ("loss.n_fft", lambda v: 2 <= v <= 1 << 17 and v % 2 == 0, "even, 2 to 131072"),
    ("loss.hop", lambda v: 1 <= v <= 1 << 17, "1 to 131072"),
    ("loss.angle", lambda v: v >= 0, "0 (none) or more"),
    ("validation.every", lambda v: v >= 1, "1 or more"),
    ("validation.overlap", lambda v: 0 <= v < 1, "from 0 to below 1"),
    ("validation.shifts", lambda v: v >= 0, "0 or more"),
    ("validation.segment_s", lambda v: v >= 0, "0 (the model's own) or more"),
    ("validation.longest_s", lambda v: v >= 0, "0 (all) or more"),
    ("guard.factor", lambda v: v > 1, "above 1"),
    ("guard.window", lambda v: v >= 1, "1 or more"),
    ("guard.repeats", lambda v: v >= 1, "1 or more"),
    ("run.save_steps", lambda v: v >= 0, "0 (never) or more"),
    ("run.save_minutes", lambda v: v >= 0, "0 (never) or more"),
    ("run.log_steps", lambda v: v >= 1, "1 or more"),
)


def _check(recipe: Recipe) -> None:
    """Raise `SettingsError` for a value out of its range, or an invalid model."""
    for path, holds, range in _RULES:
        value: Any = recipe
        for step in path.split("."):
            value = getattr(value, step)
        if not holds(value):
            raise SettingsError(f"{path} is {range}, got {value!r:.80}")
    spec = model_member(recipe).config.spec
    _check_validation(recipe.validation, spec)
    stems = spec.stems
    for name, table in _by_stem(recipe).items():
        for stem in table:
            if stem not in stems:
                near = did_you_mean(stem, set(stems))
                raise SettingsError(f"{name}: the model has no stem {stem!r}{near}")
    _check_bands(recipe)
    if all(recipe.loss.weights.get(stem, 1.0) == 0 for stem in stems):
        raise SettingsError("loss.weights: at least one stem weighs more than 0")


def _check_validation(recipe: ValidationRecipe, spec: ModelSpec) -> None:
    """What would end a run at its first validation, perhaps hours after its start."""
    try:
        samples = int((recipe.separation.segment_s or 0) * spec.sample_rate)
        check_segment(samples, spec, "use less, or 0 for the model's own")
    except SettingsError as error:
        raise SettingsError(f"validation: {error}") from error


def _check_bands(recipe: Recipe) -> None:
    """What a loss in bands cannot do."""
    loss = recipe.loss
    if loss.domain == "waves":
        return
    if loss.kind not in ("relative", "log"):
        raise SettingsError(
            f'loss.kind is "relative" or "log" with loss.domain = "bands", got {loss.kind!r}'
        )
    for name, on in (
        ("loss.combine", loss.combine),
        ("loss.angle", loss.angle),
        ("run.compile", recipe.run.compile),
    ):
        if on:
            raise SettingsError(
                f'{name} needs waveforms; leave it out, or set loss.domain = "waves"'
            )


def _by_stem(recipe: Recipe) -> dict[str, Iterable[str]]:
    """Settings that name stems; `repitch.speech_stems` may name stems that the model lacks."""
    augment, excerpts = recipe.augment, recipe.excerpts
    return {
        "loss.weights": recipe.loss.weights,
        "augment.gain_db": augment.gain_db,
        "augment.absent": augment.absent,
        "augment.without_lows": augment.without_lows,
        "excerpts.loud_tries": excerpts.loud_tries,
        "excerpts.borrow": excerpts.borrow,
        "excerpts.speed": excerpts.speed,
    }
