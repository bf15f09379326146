"""The recipe of a training run: frozen dataclasses, filled from TOML.

A recipe file states only what differs from the one it builds on (`base = "hybrid"`), and in the end
from `recipes/base.toml`, which shows every key with its default. An unknown key, or a value of the
wrong kind, is an error that names the key.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from unbraid.data.augment import AugmentSettings
from unbraid.data.excerpts import ExcerptSettings
from unbraid.data.repitch import RepitchSettings
from unbraid.errors import ModelError, SettingsError
from unbraid.models.build import ARCHITECTURES, did_you_mean


@dataclass(frozen=True)
class ModelRecipe:
    """What is trained.

    Attributes:
        architecture: a name in `models.build.ARCHITECTURES`.
        settings: fields of its config that differ from the paper's, stems among them.
    """

    architecture: str = "hybrid_demucs"
    settings: Mapping[str, Any] = field(default_factory=lambda: {"segment_s": 44.0})


@dataclass(frozen=True)
class StartRecipe:
    """Where the weights come from.

    Attributes:
        model: name or path of a model to go on from; "" for new weights.
        output_scale: factor of the new weights of the last layers; below 1 the first estimates are
            near silence, and their bias is 0.
    """

    model: str = ""
    output_scale: float = 1.0


@dataclass(frozen=True)
class DataRecipe:
    """How data is fed.

    Attributes:
        train_valid: train on the validation tracks too; every epoch is then the best so far.
        workers: processes that prepare data; -1 for one a core, 8 at most; 0 for none.
        cache_gb: how much decoded audio may be kept on disk, 0 for none.
        missing: whether a stem that a track lacks is an error or silence.
    """

    train_valid: bool = False
    missing: Literal["error", "silence"] = "error"
    workers: int = -1
    cache_gb: float = 50.0


@dataclass(frozen=True)
class LossRecipe:
    """What is made small.

    Attributes:
        kind: "l1" or "mse" on waveforms; "relative": amplitude of the error over that of the
            mixture, which does not depend on loudness.
        weights: of the stems, by name; 1 for those left out.
    """

    kind: Literal["l1", "mse", "relative"] = "l1"
    weights: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class OptimizerRecipe:
    """How weights move.

    Attributes:
        kind: Adam, or AdamW, whose weight decay is apart from the gradient.
        lr, beta1, beta2, eps, weight_decay: as torch has them.
        batch_size: excerpts in one step, all processes together.
        accumulate: parts of a step that each process computes one after the other.
        clip_norm: greatest norm of the gradient, 0 for no limit.
        warmup_steps: steps over which the learning rate rises from 0.
        final_lr: share of it that is left at the end of the run, reached along a cosine.
    """

    kind: Literal["adam", "adamw"] = "adam"
    lr: float = 3e-4
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    batch_size: int = 64
    accumulate: int = 1
    clip_norm: float = 0.0
    warmup_steps: int = 0
    final_lr: float = 1.0


@dataclass(frozen=True)
class SvdRecipe:
    """The penalty on singular values; see `training.svd`.

    Attributes:
        weight: factor of the penalty, 0 for none.
        method: "low_rank" (randomized), "power" (iteration) or "exact".
        min_size_mb: least size of a weight that counts, in MB of float32.
        rank, iterations: of the first two methods; for "power" `rank` random starts.
        swap_transposed: rows of transposed convolutions are their outputs.
        convolutions_only: only weights with three or four dimensions.
        probability: of a step to compute it at all; it then counts 1 / probability times.
    """

    weight: float = 0.0
    method: Literal["low_rank", "power", "exact"] = "low_rank"
    min_size_mb: float = 0.1
    rank: int = 1
    iterations: int = 2
    swap_transposed: bool = False
    convolutions_only: bool = False
    probability: float = 1.0


@dataclass(frozen=True)
class EmaRecipe:
    """Moving averages of the weights: decays of those taken every step, and every epoch."""

    batch: tuple[float, ...] = (0.9995, 0.9999)
    epoch: tuple[float, ...] = (0.9, 0.95)


@dataclass(frozen=True)
class ValidationRecipe:
    """How candidates are compared, on whole tracks.

    Attributes:
        every: epochs from one validation to the next; the last epoch always has one.
        metric: "loss" (lower is better) or "nsdr" (higher is).
        overlap, shifts: of the separation.
        segment_s: of the separation; 0 for the model's own.
        longest_s: seconds that count from the start of each track; 0 for all of it.
        samples: tracks that the report and TensorBoard show and play.
    """

    every: int = 1
    metric: Literal["loss", "nsdr"] = "loss"
    overlap: float = 0.0
    shifts: int = 1
    segment_s: float = 0.0
    longest_s: float = 0.0
    samples: int = 1


@dataclass(frozen=True)
class GuardRecipe:
    """When a step is refused, and when the run is given up; see `training.guard`.

    Attributes:
        factor: a loss this many times above the median of the last `window` has exploded.
        window: steps the median is taken over.
        repeats: times in a row that the run goes back to its last state before it is given up.
    """

    factor: float = 20.0
    window: int = 50
    repeats: int = 5


@dataclass(frozen=True)
class RunRecipe:
    """How it is computed, kept and told; no value changes what is learnt, but by rounding.

    Attributes:
        precision: "fp32"; "tf32", and "bf16" or "fp16" for autocast, which are faster on a GPU.
        compile: compile the model first.
        recompute: keep less for the backward pass and compute it again: less memory, more time.
        save_steps, save_minutes: from one saved state to the next, besides the ends of epochs;
            0 for never.
        log_steps: from one line of the log to the next.
    """

    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32"
    compile: bool = False
    recompute: bool = False
    save_steps: int = 0
    save_minutes: float = 10.0
    log_steps: int = 10


@dataclass(frozen=True)
class Recipe:
    """All that decides how a run goes, apart from the data.

    Attributes:
        description: one line for people.
        seed: of weights, order, excerpts and augmentation.
        epochs: passes over the training excerpts.
        model ... run: one table of the file each. `excerpts`, `augment` and `repitch` are those of
            `unbraid.data`.
    """

    description: str = ""
    seed: int = 42
    epochs: int = 360
    model: ModelRecipe = field(default_factory=ModelRecipe)
    start: StartRecipe = field(default_factory=StartRecipe)
    data: DataRecipe = field(default_factory=DataRecipe)
    excerpts: ExcerptSettings = field(default_factory=ExcerptSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    repitch: RepitchSettings = field(default_factory=RepitchSettings)
    loss: LossRecipe = field(default_factory=LossRecipe)
    optimizer: OptimizerRecipe = field(default_factory=OptimizerRecipe)
    svd: SvdRecipe = field(default_factory=SvdRecipe)
    ema: EmaRecipe = field(default_factory=EmaRecipe)
    validation: ValidationRecipe = field(default_factory=ValidationRecipe)
    guard: GuardRecipe = field(default_factory=GuardRecipe)
    run: RunRecipe = field(default_factory=RunRecipe)


def recipe_from(table: Mapping[str, Any]) -> Recipe:
    """The recipe that a nested table of plain values describes.

    Raises:
        SettingsError: for an unknown key, naming the nearest; for a value of the wrong kind or out
            of its range; for settings that make no model.

    >>> recipe_from({"optimizer": {"lr": 1e-4}}).optimizer.lr
    0.0001
    """
    recipe: Recipe = _fill(Recipe, table, "")
    _check(recipe)
    return recipe


def plain_recipe(recipe: Recipe) -> dict[str, Any]:
    """The recipe as `recipe_from` takes it, every key in it."""
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
    for config, _ in ARCHITECTURES.values():
        keys |= {f"model.{entry.name}" for entry in dataclasses.fields(config)}
    return keys | {"model.architecture"}


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
    settings = {"segment_s": 44.0, **table}
    architecture = settings.pop("architecture", "hybrid_demucs")
    if architecture not in ARCHITECTURES:
        near = did_you_mean(str(architecture), set(ARCHITECTURES))
        known = ", ".join(ARCHITECTURES)
        raise SettingsError(f"no architecture {architecture!r}{near}; known are {known}")
    fields = {entry.name for entry in dataclasses.fields(ARCHITECTURES[architecture][0])}
    for key in settings:
        if key not in fields:
            near = did_you_mean(key, fields | {"architecture"})
            raise SettingsError(f"no key 'model.{key}' for {architecture}{near}")
    settings = {key: None if value == "none" else value for key, value in settings.items()}
    return ModelRecipe(architecture, settings)


def _value(hint: Any, value: Any, name: str) -> Any:
    """`value` as the annotation `hint` wants it."""
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
            raise SettingsError(f"{name} is a list of {len(kinds)} values, got {list(items)!r:.80}")
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
    """Raise `SettingsError` for a value out of its range, or a model that cannot be."""
    for path, holds, range in _RULES:
        value: Any = recipe
        for step in path.split("."):
            value = getattr(value, step)
        if not holds(value):
            raise SettingsError(f"{path} is {range}, got {value!r:.80}")
    stems = model_config(recipe).stems
    for stem in recipe.loss.weights:
        if stem not in stems:
            near = did_you_mean(stem, set(stems))
            raise SettingsError(f"loss.weights: the model has no stem {stem!r}{near}")
    if all(recipe.loss.weights.get(stem, 1.0) == 0 for stem in stems):
        raise SettingsError("loss.weights: at least one stem weighs more than 0")


def model_config(recipe: Recipe) -> Any:
    """The config of the recipe's model, checked; it has `stems`, `sample_rate`, `audio_channels`.

    Raises:
        SettingsError: if it makes no model.
    """
    config_class, _ = ARCHITECTURES[recipe.model.architecture]
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in recipe.model.settings.items()}
    config = config_class(**plain)
    try:
        config.check()
    except (ModelError, SettingsError) as error:
        raise SettingsError(f"model: {error}") from error
    return config
