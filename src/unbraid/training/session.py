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
from unbraid.training.datasets import OnSplitTrack, RunData, open_data
from unbraid.training.distributed import Team
from unbraid.training.feed import Feed
from unbraid.training.guard import Guard
from unbraid.training.loop import Run, train
from unbraid.training.recipes import write_recipe
from unbraid.training.request import ABOUT, RECIPE, RunRequest, settle
from unbraid.training.runlog import Listener, RunLog
from unbraid.training.start import first_model, new_model, recompute_activations
from unbraid.training.state import STATE, RunState, make_averages, read_state
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
from unbraid.words import counted
from unbraid.zoo.cards import has_seen_test_set
from unbraid.zoo.checkpoint import read_info
from unbraid.zoo.open import find_model, licence_of


@dataclass(frozen=True)
class Listeners:
    """Callbacks, all of them optional.

    Attributes:
        rows: called with every row of the log.
        indexing: called with a split, how many of its tracks are done, and of how many.
        validating: how many tracks are done, of how many.
    """

    rows: Sequence[Listener] = ()
    indexing: OnSplitTrack | None = None
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
    team.wait()  # until all know whether there was a state: from here on there is one
    run = Run(
        request.folder, recipe, team, data, feed, state, stepper, log, StopFlag(),
        max_steps=request.max_steps,
        provenance=_provenance(recipe, about, data, origin),
        licence=about["licence"],
        on_validation=listeners.validating,
    )  # fmt: skip
    log.write("note", step, text=_resumed(run) if resumed else origin)
    return run


def _resumed(run: Run) -> str:
    """What becomes of a run that was begun before: it resumes, or was done already."""
    step, epochs = run.state.position.step, run.recipe.epochs
    if run.state.position.epoch >= epochs:
        done, further = f"all {counted(epochs, 'epoch')}", f"--set epochs={2 * epochs}"
    elif run.out_of_steps:
        done, further = f"--max-steps {run.max_steps}", "more --max-steps, or none,"
    else:
        return f"resuming from step {step}"
    return f"done already, at step {step}: {done}; {further} trains further"


def _check_same_data(about: dict[str, Any], data: RunData, folder: Path) -> None:
    """A run resumes only with the tracks it started with; their folder may have moved."""
    before = about.get("summary", {}).get("tracks_digest")
    if before is not None and before != data.tracks_digest():
        raise SettingsError(
            f"{str(folder)!r} holds a run on other tracks than in {', '.join(about['data'])}; "
            "give its own data, or another --run with --start-from"
        )


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
