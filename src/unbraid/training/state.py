"""The state of a run, saved and read as one complete file.

A run that resumes from it makes the same steps as if it had never stopped: weights, optimizer,
averages and loss scaler are in it, all randomness follows from its position, and the global
generators, which nothing should use, are saved as well.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unbraid.atomic import replacing
from unbraid.errors import CheckpointError
from unbraid.training.config import EmaRecipe
from unbraid.training.ema import Ema
from unbraid.training.guard import Guard

STATE = "state.pt"
FORMAT_VERSION = 2  # 1: models with ratio masks named their weights without "model."


@dataclass
class Position:
    """The progress of a run, and its results so far.

    Attributes:
        step: optimizer steps made or skipped.
        epoch, batch: the epoch it is in, and how many of its batches are done.
        best: the best validation so far: epoch, step, candidate and scores.
        finished: whether all epochs are done, or all requested steps.
        seconds: of computing so far.
        singular_values: the largest of each large weight, as first measured.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    best: dict[str, Any] | None = None
    finished: bool = False
    seconds: float = 0.0
    singular_values: dict[str, float] = field(default_factory=dict)


@dataclass
class RunState:
    """Everything that changes while a model is trained.

    Attributes:
        averages: by name, those of steps and those of epochs.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    guard: Guard
    step_averages: dict[str, Ema] = field(default_factory=dict)
    epoch_averages: dict[str, Ema] = field(default_factory=dict)
    position: Position = field(default_factory=Position)

    def candidates(self) -> dict[str, Any]:
        """Weights to choose from, by name: the model's own (None) and all averages."""
        averages = {**self.step_averages, **self.epoch_averages}
        taken = {name: ema.values for name, ema in averages.items() if ema.count > 0}
        return {"weights": None, **taken}

    def plain(self) -> dict[str, Any]:
        """In a form for `torch.save` and `torch.load(weights_only=True)`."""
        averages = {**self.step_averages, **self.epoch_averages}
        return {
            "format": FORMAT_VERSION,
            "position": asdict(self.position),
            "guard": self.guard.state(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "averages": {name: ema.state() for name, ema in averages.items()},
            "random": _random_state(),
        }

    def load(self, state: Mapping[str, Any], *, keep_count: bool = False) -> None:
        """Restore a saved state; `keep_count` keeps the guard's count."""
        if state["format"] < 2:
            state = _mend_v1(state, self.model.state_dict().keys())
        self.position = Position(**state["position"])
        self.guard.load(state["guard"], keep_count=keep_count)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])
        for name, ema in {**self.step_averages, **self.epoch_averages}.items():
            ema.load(state["averages"][name])
        _restore_random_state(state["random"])


def make_averages(model: nn.Module, recipe: EmaRecipe) -> tuple[dict[str, Ema], dict[str, Ema]]:
    """The averages of steps, on the model's device, and of epochs, in main memory."""
    by_step = {f"average {decay:g} (steps)": Ema(model, decay) for decay in recipe.batch}
    by_epoch = {f"average {decay:g} (epochs)": Ema(model, decay, "cpu") for decay in recipe.epoch}
    return by_step, by_epoch


def save_state(path: Path, state: RunState) -> None:
    """Write the state to `path`; an incomplete file never appears there.

    Raises:
        CheckpointError: if the disk is full or the folder cannot be written.
    """
    try:
        with replacing(path) as temporary:
            torch.save(state.plain(), temporary)
    except (OSError, RuntimeError) as error:  # torch has its own error for a full disk
        raise CheckpointError(f"{str(path)!r} cannot be written: {error!s:.200}") from error


def read_state(path: Path) -> dict[str, Any]:
    """The state written by `save_state`, on the CPU; nothing in it is executed.

    Raises:
        CheckpointError: if it is damaged, or has a newer format.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        version = int(state["format"])
    except (
        *(OSError, RuntimeError, pickle.UnpicklingError, zipfile.BadZipFile, EOFError),
        *(KeyError, TypeError, ValueError),
    ) as error:
        raise CheckpointError(f"{str(path)!r} is not the state of a run: {error!s:.200}") from error
    if version > FORMAT_VERSION:
        raise CheckpointError(
            f"{str(path)!r} has format {version}, this unbraid reads up to {FORMAT_VERSION}; "
            "update unbraid"
        )
    return state


def _mend_v1(state: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """A state of format 1 with today's names of weights."""

    def renamed(values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name if name in names or f"model.{name}" not in names else f"model.{name}": value
            for name, value in values.items()
        }

    averages = {
        name: {**average, "values": renamed(average["values"])}
        for name, average in state["averages"].items()
    }
    position = dict(state["position"])
    position["singular_values"] = renamed(position.get("singular_values", {}))
    return {
        **state, "model": renamed(state["model"]), "averages": averages, "position": position
    }  # fmt: skip


def _random_state() -> dict[str, Any]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def _restore_random_state(state: Mapping[str, Any]) -> None:
    torch.set_rng_state(state["cpu"])
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
