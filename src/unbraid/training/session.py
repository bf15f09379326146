"""Opening a run: a new one in an empty folder, or the one that the folder holds.

DIR/recipe.toml               the whole recipe
DIR/run.json                  data, seed, versions, where the weights came from
DIR/state.pt                  everything needed to resume
DIR/checkpoints/{last,best}.safetensors
DIR/log.jsonl, steps.csv, epochs.csv, tensorboard/
DIR/trouble.jsonl             steps that were refused, if any
DIR/report.html               at the end
"""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unbraid.atomic import write_text
from unbraid.errors import ModelError, SettingsError
from unbraid.training.config import Recipe
from unbraid.training.datasets import RunData, open_data
from unbraid.training.distributed import Team
from unbraid.training.feed import Feed
from unbraid.training.guard import Guard
from unbraid.training.loop import STATE, Run, train
from unbraid.training.recipes import read_recipe, write_recipe
from unbraid.training.runlog import Listener, RunLog
from unbraid.training.start import first_model, new_model, recipe_on, recompute_activations
from unbraid.training.state import RunState, make_averages, read_state
from unbraid.training.steps import (
    Stepper,
    check_domain,
    make_optimizer,
    make_scaler,
    set_precision,
)
from unbraid.training.stopping import StopFlag, alone_in, stop_on_signals
from unbraid.training.tables import plain_recipe
from unbraid.version import __version__
from unbraid.zoo.cards import has_seen_test_set
from unbraid.zoo.checkpoint import read_info
from unbraid.zoo.open import find_model, licence_of

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


@dataclass(frozen=True)
class Listeners:
    """Callbacks, all of them optional.

    Attributes:
        rows: called with every row of the log.
        indexing, validating: how many tracks are done, of how many.
    """

    rows: Sequence[Listener] = ()
    indexing: Callable[[int, int], None] | None = None
    validating: Callable[[int, int], None] = field(default=lambda done, total: None)


def run_training(request: RunRequest, team: Team, listeners: Listeners | None = None) -> Path:
    """Start a run, or resume the one in its folder, and train to the end.

    Returns:
        the folder.
    Raises:
        SettingsError: if the request, recipe or data is wrong.
        TrainingError: if the loss goes wrong again and again.
        KeyboardInterrupt: on a request to stop; the run can resume later.
    """
    with alone_in(request.folder if team.leads else None):
        run = open_run(request, team, listeners or Listeners())
        try:
            with stop_on_signals() as run.stop:
                train(run)
        finally:
            run.log.close()
            if team.leads:
                _report(run)
    return request.folder


def open_run(request: RunRequest, team: Team, listeners: Listeners) -> Run:
    """All parts of a run, new or resumed."""
    recipe, about = settle(request)
    set_precision(recipe.run, team.device)
    on_track = listeners.indexing if team.leads else None
    with team.leader_first():  # the others take its index
        data = open_data(recipe, about["data"], about["data_weights"], on_track)
    feed = Feed(data.excerpts, recipe, team, data.sample_rate)
    resumed = (request.folder / STATE).exists()
    if resumed:
        _check_same_data(about, data, request.folder)
        model, origin = new_model(recipe), about["origin"]
    else:
        model, origin = first_model(recipe)
        licence = licence_of(recipe.start.model) if recipe.start.model else ""
        about = {**about, "origin": origin, "licence": licence}
        about["inherited"] = inherited_provenance(recipe.start.model)
    check_domain(model, recipe)
    model.to(team.device)
    if team.leads:
        for leftover in request.folder.rglob(".*.part"):
            leftover.unlink(missing_ok=True)  # an incomplete file of a killed process
        parameters = sum(parameter.numel() for parameter in model.parameters())
        _write_about(request.folder, recipe, {**about, "parameters": parameters}, data, team)
    state = make_state(model, recipe, team)
    if resumed:
        state.load(read_state(request.folder / STATE))
    stepper = Stepper(
        callable_model(model, recipe), recipe, team, feed, state, data.stems,
        recipe.epochs * feed.batches_per_epoch,
    )  # fmt: skip
    step = state.position.step
    folder = request.folder if team.leads else None
    log = RunLog(folder, step, listeners.rows if team.leads else ())
    log.write("note", step, text=f"resuming from step {step}" if resumed else origin)
    team.wait()  # until all know whether there was a state: from here on there is one
    return Run(
        request.folder, recipe, team, data, feed, state, stepper, log, StopFlag(),
        max_steps=request.max_steps,
        provenance=_provenance(recipe, about, data, origin),
        licence=about["licence"],
        on_validation=listeners.validating,
    )  # fmt: skip


def settle(request: RunRequest) -> tuple[Recipe, dict[str, Any]]:
    """The recipe and the other facts of a run, from the request and the folder.

    Raises:
        SettingsError: if they contradict each other.
    """
    folder = request.folder
    about: dict[str, Any] = _read_about(folder) if (folder / STATE).exists() else {}
    settings = [*request.settings]
    if request.seed is not None:
        settings.append(f"seed={request.seed}")
    name = request.recipe
    if name is None:
        if not about:
            raise SettingsError(f"{str(folder)!r} holds no run to resume; give a RECIPE")
        recipe = read_recipe(folder / RECIPE, settings)
    else:
        recipe = read_recipe(name, settings)
    start = request.start_from or recipe.start.model
    if about and not request.start_from:
        start = recipe.start.model or about["start"]
    if start:
        recipe = dataclasses.replace(recipe, start=dataclasses.replace(recipe.start, model=start))
        if about:
            kept = read_recipe(folder / RECIPE)
            recipe = dataclasses.replace(recipe, model=kept.model)
        else:
            asked, recipe = recipe, recipe_on(recipe, start)
            _check_kept(request.settings, asked, recipe)
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
    return recipe, {**about, "data": data, "data_weights": weights, "start": start}


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


def _check_same_data(about: dict[str, Any], data: RunData, folder: Path) -> None:
    """A run resumes only with the tracks it started with; their folder may have moved."""
    before = about.get("summary", {}).get("tracks_digest")
    if before is not None and before != data.tracks_digest():
        raise SettingsError(
            f"{str(folder)!r} holds a run on other tracks than in {', '.join(about['data'])}; "
            "give its own data, or another --run with --start-from"
        )


def _flat(table: dict[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found.update(_flat(value, f"{before}{key}."))
        else:
            found[before + key] = value
    return found


def make_state(model: nn.Module, recipe: Recipe, team: Team) -> RunState:
    """The state of a run at its start."""
    by_step, by_epoch = make_averages(model, recipe.ema)
    return RunState(
        model,
        make_optimizer(model, recipe.optimizer),
        make_scaler(recipe.run, team.device),
        Guard(recipe.guard),
        by_step,
        by_epoch,
    )


def callable_model(model: nn.Module, recipe: Recipe) -> nn.Module:
    """The model for steps, perhaps with recomputed activations or compiled."""
    if recipe.run.recompute:
        recompute_activations(model)
    return torch.compile(model) if recipe.run.compile else model  # type: ignore[return-value]


def _provenance(
    recipe: Recipe, about: dict[str, Any], data: RunData, origin: str
) -> dict[str, Any]:
    """The provenance in a checkpoint; equal for equal runs on any machine."""
    names = [Path(root).name for root in about["data"]]
    return {
        "trained_with": f"unbraid {__version__}",
        "torch": torch.__version__,
        "recipe": plain_recipe(recipe),
        "seed": recipe.seed,
        "data": {"names": names, **data.summary()},
        "origin": origin,
        **about["inherited"],
    }


def inherited_provenance(name: str) -> dict[str, Any]:
    """Known leaks of the model that a run starts from, which also affect later scores."""
    if not name:
        return {}
    seen = has_seen_test_set(name)
    found: dict[str, Any] = {"musdb_test_seen": True} if seen else {}
    try:
        there = read_info(find_model(name)).provenance
    except ModelError:
        return found  # a foreign file, which does not say
    return found | {key: there[key] for key in ("leaked", "musdb_test_seen") if key in there}


def _write_about(
    folder: Path, recipe: Recipe, about: dict[str, Any], data: RunData, team: Team
) -> None:
    try:
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        write_text(folder / RECIPE, write_recipe(recipe))
        content = {**about, "summary": data.summary(), "environment": environment(team)}
        write_text(folder / ABOUT, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise SettingsError(f"{str(folder)!r} cannot be written: {error.strerror}") from error


def _read_about(folder: Path) -> dict[str, Any]:
    try:
        about: dict[str, Any] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{str(folder / ABOUT)!r} cannot be read: {error}") from error
    return about


def environment(team: Team) -> dict[str, str]:
    """Versions and device."""
    device = team.device
    if device.startswith("cuda"):
        device = f"{device} ({torch.cuda.get_device_name(device)})"
    return {
        "unbraid": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": platform.platform(terse=True),
        "device": device,
        "processes": str(team.size),
    }


def _report(run: Run) -> None:
    from unbraid.training.page import write_report

    write_report(run.folder)
