"""The display of a training run on stderr: a live line on a terminal, else plain lines."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from unbraid.cli.display import clock, printable
from unbraid.closing import Closing
from unbraid.training.session import Listeners
from unbraid.words import counted

_EVERY_S = 20.0
_PARTS = {"train": "training", "valid": "validation"}


class TrainDisplay(Closing):
    """Shows nothing; its subclasses show more."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, markup=False, highlight=False, emoji=False,
                               soft_wrap=True)  # fmt: skip
        self.best = ""

    def listeners(self, name: str) -> Listeners:
        """The functions to call for a run; its name is "" if it is the only one."""
        return Listeners()

    def close(self) -> None:
        """Close the display."""


class PlainTrainDisplay(TrainDisplay):
    """A line for each epoch and note, and sometimes one for a step."""

    def __init__(self) -> None:
        super().__init__()
        self._name, self._told = "", 0.0

    def listeners(self, name: str) -> Listeners:
        self._name, self._told, self.best = f"{name}: " if name else "", 0.0, ""
        return Listeners((self.row,), self.indexing, self.validating)

    def row(self, row: dict[str, Any]) -> None:
        """A row of the log."""
        if row["kind"] == "step":
            self.step(row)
        elif row["kind"] == "epoch":
            self.best = best_text(row)
            self.line(epoch_text(row))
        elif row["kind"] == "baseline":
            self.line(baseline_text(row))
        elif row["kind"] == "note":
            self.line(str(row["text"]))

    def step(self, row: dict[str, Any]) -> None:
        """Show a step, at most once in some seconds."""
        now = time.monotonic()
        if now - self._told >= _EVERY_S:
            self._told = now
            self.line(step_text(row, self.best))

    def indexing(self, split: str, done: int, total: int) -> None:
        """`done` of the `total` tracks of a split have been looked at."""
        if done == total:
            self.line(f"looked at {counted(total, f'{_PARTS[split]} track')}")

    def validating(self, done: int, total: int) -> None:
        """A validation track is done."""

    def line(self, text: str) -> None:
        """Show a line about the run."""
        self.console.print(Text(printable(self._name + text)))


class LiveTrainDisplay(PlainTrainDisplay):
    """A bar for the epoch, and one line of status."""

    def __init__(self) -> None:
        super().__init__()
        self._bars = Progress(
            TextColumn("{task.fields[name]}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[text]}", markup=False),
            console=self.console,
            transient=True,
        )
        self._bar = self._bars.add_task("", total=None, name="", text="")
        self._bars.start()

    def step(self, row: dict[str, Any]) -> None:
        self._bars.update(
            self._bar, completed=row["batch"], total=row["batches"],
            name=f"{self._name}epoch {row['epoch']}", text=step_text(row, self.best),
        )  # fmt: skip

    def indexing(self, split: str, done: int, total: int) -> None:
        name = f"looking at {_PARTS[split]} tracks"
        self._bars.update(self._bar, completed=done, total=total, name=name, text="")

    def validating(self, done: int, total: int) -> None:
        text = f"track {done} of {total}"
        self._bars.update(self._bar, completed=done, total=total, name="validation", text=text)

    def close(self) -> None:
        self._bars.stop()


def make_display(quiet: bool) -> TrainDisplay:
    """The right display: none if quiet, live on a terminal, plain elsewhere."""
    if quiet:
        return TrainDisplay()
    return LiveTrainDisplay() if Console(stderr=True).is_terminal else PlainTrainDisplay()


def step_text(row: dict[str, Any], best: str = "") -> str:
    """Loss, speed, time waiting for data, time left, best score."""
    parts = [
        f"step {row['step']}",
        f"loss {row['loss']:.4g}",
        f"{row['examples_per_s']:.3g} examples/s",
        f"{row['waiting']:.0%} waiting for data",
        f"{clock(row['seconds_left'])} left",
    ]
    return ", ".join(parts + [best] * bool(best))


def best_text(row: dict[str, Any]) -> str:
    """The best score so far; empty if there is none."""
    best = row.get("best") or {}
    return f"best {best['nsdr']:.2f} dB" if "nsdr" in best else ""


def baseline_text(row: dict[str, Any]) -> str:
    """What no model at all scores on the validation tracks."""
    return f"without a model, {row['name']}: nSDR {scores_text(row)}"


def scores_text(row: dict[str, Any]) -> str:
    """Mean nSDR and that of each stem."""
    stems = ", ".join(f"{stem} {value:.2f}" for stem, value in row["stems"].items())
    return f"{row['nsdr']:.2f} dB ({stems})"


def epoch_text(row: dict[str, Any]) -> str:
    """The results of an epoch."""
    part = "" if row.get("whole", True) else " (a part of it)"
    text = f"epoch {row['epoch']}{part}, step {row['step']}"
    if "nsdr" in row:
        text += f": loss {row['loss']:.4g}, nSDR {scores_text(row)}, {row['chosen']}"
    best = best_text(row)
    return f"{text}; {best} in epoch {row['best']['epoch']}" if best else text
