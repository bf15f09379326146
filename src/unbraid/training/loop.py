"""Epochs and steps of a run, from its current state to its end.

steps ──► averages of the epoch ──► validation of all candidates ──► best ──► state saved
  │
  └─ trouble: return to the last saved state, and continue in another order
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from unbraid.atomic import append_line
from unbraid.errors import TrainingError
from unbraid.training.board import SAMPLE_S
from unbraid.training.config import Recipe
from unbraid.training.datasets import RunData
from unbraid.training.distributed import Team
from unbraid.training.ema import weights_of
from unbraid.training.feed import Feed
from unbraid.training.runlog import RunLog
from unbraid.training.state import STATE, RunState, read_state, save_state
from unbraid.training.steps import Stepper, StepResult
from unbraid.training.stopping import StopFlag
from unbraid.training.validation import CandidateScore, Interrupted, best_candidate, validate
from unbraid.training.watchdog import watch
from unbraid.zoo.checkpoint import save_checkpoint

TROUBLE = "trouble.jsonl"
LAST, BEST = "checkpoints/last.safetensors", "checkpoints/best.safetensors"


@dataclass
class Run:
    """A run with all its parts, in one process of its team.

    Attributes:
        folder: of the run.
        max_steps: total steps after which it ends early; None for the recipe's epochs.
        provenance: provenance in its checkpoints, besides their progress.
        licence: of its checkpoints.
    """

    folder: Path
    recipe: Recipe
    team: Team
    data: RunData
    feed: Feed
    state: RunState
    stepper: Stepper
    log: RunLog
    stop: StopFlag
    max_steps: int | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    licence: str = ""
    on_validation: Callable[[int, int], None] = lambda done, total: None

    @property
    def finished(self) -> bool:
        """Whether the run is finished."""
        position = self.state.position
        return position.epoch >= self.recipe.epochs or self.out_of_steps

    @property
    def out_of_steps(self) -> bool:
        """Whether `max_steps` are done."""
        return self.max_steps is not None and self.state.position.step >= self.max_steps


def train(run: Run) -> None:
    """Train to the end.

    Raises:
        TrainingError: if the loss goes wrong again and again.
        KeyboardInterrupt: on a request to stop; the state is then saved.
    """
    if run.team.leads and not (run.folder / STATE).exists():
        save_state(run.folder / STATE, run.state)  # a state to return to from the first step on
    run.team.wait()
    clock = _Clock(run)
    while not run.finished:
        position = run.state.position
        if position.batch < run.feed.batches_per_epoch:
            result = _steps_of_epoch(run, clock)
            if result is not None:
                _go_back(run, result)
                continue
        begun = time.perf_counter()
        try:
            _close_epoch(run)
        except Interrupted:
            _leave(run, clock)
        clock.keep()
        save(run)
        clock.leave_out(time.perf_counter() - begun)
    if run.team.leads:
        _save_model(run, LAST, None)
    run.team.wait()


def save(run: Run) -> None:
    """Save the state, and the weights as an ordinary model."""
    run.state.position.finished = run.finished
    if run.team.leads:
        run.log.keep()
        save_state(run.folder / STATE, run.state)
        _save_model(run, LAST, None)


class _Clock:
    """Decides when to save and log, and measures the computing time."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._since = self._saved = time.perf_counter()
        self._losses: list[float] = []
        self._waited_s = 0.0
        self._logged = self._since

    def keep(self) -> None:
        """Add the time since the last call to the run's."""
        now = time.perf_counter()
        self._run.state.position.seconds += now - self._since
        self._since = self._saved = now

    def leave_out(self, seconds: float) -> None:
        """Leave out these seconds from the speed of steps."""
        self._logged += seconds

    def save_is_due(self) -> bool:
        recipe, step = self._run.recipe.run, self._run.state.position.step
        if recipe.save_steps and step % recipe.save_steps == 0:
            return True
        minutes = (time.perf_counter() - self._saved) / 60
        return bool(recipe.save_minutes) and minutes >= recipe.save_minutes

    def log(self, result: StepResult, waited_s: float) -> None:
        """Count a step, and write a row if one is due."""
        run = self._run
        self._losses.append(result.loss)
        self._waited_s += waited_s
        if run.state.position.step % run.recipe.run.log_steps and not run.out_of_steps:
            return
        now = time.perf_counter()
        seconds, count = max(now - self._logged, 1e-9), len(self._losses)
        position = run.state.position
        run.log.write(
            "step",
            position.step,
            epoch=position.epoch + 1,
            batch=position.batch,
            batches=run.feed.batches_per_epoch,
            loss=sum(self._losses) / count,
            stems=dict(zip(run.data.stems, result.stems, strict=True)),
            penalty=result.penalty,
            gradient_norm=result.gradient_norm,
            lr=run.state.optimizer.param_groups[0]["lr"],
            examples_per_s=count * run.recipe.optimizer.batch_size / seconds,
            audio_s_per_s=count * run.feed.audio_seconds / seconds,
            waiting=min(1.0, self._waited_s / seconds),
            seconds_left=_seconds_left(run, seconds / count),
        )
        self._losses, self._waited_s, self._logged = [], 0.0, now


def _seconds_left(run: Run, seconds_per_step: float) -> float:
    """Time until the end of the run at this speed, without validation."""
    total = run.recipe.epochs * run.feed.batches_per_epoch
    if run.max_steps is not None:
        total = min(total, run.max_steps)
    return max(0, total - run.state.position.step) * seconds_per_step


def _steps_of_epoch(run: Run, clock: _Clock) -> StepResult | None:
    """Make steps to the end of the epoch; returns a step that was refused, if any."""
    position, guard = run.state.position, run.state.guard
    for batch in run.feed.batches(position.epoch, position.batch, guard.attempt):
        result = run.stepper.make(batch, run.stop.asked())
        if result.trouble is not None:
            _record(run, result, batch.indices)
            return result
        clock.log(result, batch.waited_s)
        if result.stop:
            _leave(run, clock)
        if run.out_of_steps:
            break
        if position.batch < run.feed.batches_per_epoch and clock.save_is_due():
            clock.keep()
            save(run)
    return None


def _leave(run: Run, clock: _Clock) -> None:
    clock.keep()
    save(run)
    run.log.write("note", run.state.position.step, text="interrupted; state saved")
    run.team.wait()
    raise KeyboardInterrupt


def _record(run: Run, result: StepResult, indices: list[int]) -> None:
    """Record a refused step and its data."""
    position = run.state.position
    facts = {
        "epoch": position.epoch,
        "batch": position.batch,
        "trouble": result.trouble,
        "seed": run.recipe.seed,
        "attempt": run.state.guard.attempt,
        "indices": indices,
        "tracks": [run.feed.place(index) for index in indices],
    }
    run.log.write("trouble", position.step, **facts)
    if run.team.leads:
        append_line(run.folder / TROUBLE, json.dumps({"step": position.step, **facts}))


def _go_back(run: Run, result: StepResult) -> None:
    """Return to the last saved state and use another order; or stop the run."""
    step = run.state.position.step
    goes_on = run.state.guard.count(step)
    run.team.wait()  # no process reads a half-written state
    run.state.load(read_state(run.folder / STATE), keep_count=True)
    run.team.wait()
    if not goes_on:
        raise TrainingError(
            f"given up at step {step}: {result.trouble}, {run.recipe.guard.repeats + 1} times in a "
            f"row; {run.folder / TROUBLE} has the batches. A lower optimizer.lr, "
            "optimizer.clip_norm = 1 or svd.weight = 1e-5 may help"
        )
    if run.team.leads:
        save_state(run.folder / STATE, run.state)  # so that the count survives a crash
    run.log.write(
        "note",
        run.state.position.step,
        text=f"step {step}: {result.trouble}; back to step {run.state.position.step}",
    )


def _close_epoch(run: Run) -> None:
    """Validate, choose, keep the best; an interruption changes nothing."""
    position, recipe = run.state.position, run.recipe
    whole, number = position.batch == run.feed.batches_per_epoch, position.epoch + 1
    last = run.out_of_steps or number == recipe.epochs
    facts: dict[str, Any] = {}
    if not run.data.validation:
        position.best = {"epoch": number, "step": position.step, "name": "weights"}
        if last:
            _save_best(run, position.best)
    elif last or number % recipe.validation.every == 0:
        scores, chosen = _choose(run)
        facts["candidates"] = [score.plain() for score in scores]
        facts["chosen"], facts["loss"], facts["nsdr"] = chosen.name, chosen.loss, chosen.nsdr
        facts["stems"] = chosen.stems
    singular = _watch(run)
    if whole:
        position.epoch, position.batch = position.epoch + 1, 0
    row = {"epoch": number, "whole": whole, "best": position.best, **facts}
    run.log.write("epoch", position.step, **row, singular_values=singular)


def _choose(run: Run) -> tuple[list[CandidateScore], CandidateScore]:
    """Score all candidates; the best of them is saved if none before was better."""
    state, metric = run.state, run.recipe.validation.metric
    shown: dict[str, list[tuple[str, Tensor, Tensor]]] = {}

    def keep(name: str, track: str, sources: Tensor, estimates: Tensor) -> None:
        start, samples = sources.shape[-1] // 3, int(SAMPLE_S * run.data.sample_rate)
        cut = slice(start, start + samples)
        pieces = (track, sources[..., cut].clone(), estimates[..., cut].clone())
        shown.setdefault(name, []).append(pieces)

    position = state.position
    first = position.best is None
    scores = validate(
        state.model, state.candidates(), run.data, run.recipe, run.team,
        stop_asked=run.stop.asked, on_track=run.on_validation,
        keep=keep if run.log.board is not None else None,
        processing=first,
    )  # fmt: skip
    if first:
        run.log.write("baseline", position.step, **scores.pop().plain())
    chosen = best_candidate(scores, metric)
    if run.log.board is not None:
        for track, sources, estimates in shown.get(chosen.name, ()):
            run.log.board.estimates(
                position.step, track, run.data.stems, sources, estimates, run.data.sample_rate
            )
    if run.recipe.data.train_valid or _is_better(chosen, position.best, metric):
        position.best = {"epoch": position.epoch + 1, "step": position.step, **chosen.plain()}
        _save_best(run, position.best)
    return scores, chosen


def _is_better(score: CandidateScore, best: dict[str, Any] | None, metric: str) -> bool:
    if best is None or metric not in best:
        return True
    if metric == "nsdr":
        return score.nsdr > float(best["nsdr"])
    return score.loss < float(best["loss"])


def _watch(run: Run) -> dict[str, float]:
    if not run.team.leads:
        return {}
    position = run.state.position
    shown, warnings = watch(run.state.model, run.recipe.svd, position.singular_values)
    for text in warnings:
        run.log.write("note", position.step, text=f"warning: {text}")
    return shown


def _save_best(run: Run, best: dict[str, Any]) -> None:
    if run.team.leads:
        values = run.state.candidates()[best["name"]]
        _save_model(run, BEST, values, best)


def _save_model(
    run: Run, name: str, values: dict[str, Tensor] | None, best: dict[str, Any] | None = None
) -> None:
    """Write a checkpoint; its provenance has no time, so that equal runs write equal files."""
    position = run.state.position
    provenance = {**run.provenance, "steps": position.step, "epochs": position.epoch}
    if best is not None:
        provenance["best"] = best
    with weights_of(run.state.model, values) as model:
        save_checkpoint(run.folder / name, model, licence=run.licence, provenance=provenance)
