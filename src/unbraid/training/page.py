"""The page about a training run: curves, best scores, recipe, data, environment."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unbraid.pages.charts import Curve, curves_chart
from unbraid.pages.page import Page, plain
from unbraid.training.runlog import Row, read_log

if TYPE_CHECKING:
    from markupsafe import Markup

REPORT = "report.html"
_MOST_EVENTS = 50
_MOST_SINGULAR_VALUES = 6


def write_report(folder: Path) -> Path:
    """Write `report.html` of the run in `folder` from its log; the run may still be in progress.

    Raises:
        AudioWriteError: if a file that is not a page of unbraid is in the way.
        OSError: if the disk is full.
    """
    path = folder / REPORT
    run_page(folder).write(path)
    return path


def run_page(folder: Path) -> Page:
    """The page about the run in `folder`."""
    rows = read_log(folder / "log.jsonl")
    about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    data = _page_data(folder.resolve().name, rows, about)
    return Page(
        title=f"Training run {data['name']}",
        data=data,
        package="unbraid.training",
        template="run.html",
        values={
            "loss_curves": _loss_curves(rows),
            "validation": _validation_curves(rows),
            "health": _health_curves(rows),
            "events": [
                (row["step"], str(row.get("text") or row.get("trouble")))
                for row in rows
                if row["kind"] in ("note", "trouble")
            ][-_MOST_EVENTS:],
            "recipe": (folder / "recipe.toml").read_text(encoding="utf-8"),
        },
    )


def _page_data(name: str, rows: Sequence[Row], about: Mapping[str, Any]) -> dict[str, Any]:
    steps = _of_kind(rows, "step")
    epochs = _of_kind(rows, "epoch")
    waiting = [row["waiting"] for row in steps if row.get("waiting") is not None]
    speeds = [row["audio_s_per_s"] for row in steps if row.get("audio_s_per_s") is not None]
    best = next((row["best"] for row in reversed(epochs) if row.get("best")), None)
    baseline = next(iter(_of_kind(rows, "baseline")), None)
    data: dict[str, Any] = plain(
        {
            "name": name,
            "steps": rows[-1]["step"] if rows else 0,
            "epochs": epochs[-1]["epoch"] if epochs else 0,
            "last_loss": steps[-1]["loss"] if steps else None,
            "waiting": sum(waiting) / len(waiting) if waiting else None,
            "audio_s_per_s": sorted(speeds)[len(speeds) // 2] if speeds else None,
            "trouble": len(_of_kind(rows, "trouble")),
            "best": best,
            "baseline": baseline,
            "origin": about.get("origin", ""),
            "data": {**about["summary"], "roots": about["data"]},
            "environment": about["environment"],
        }
    )
    return data


def _loss_curves(rows: Sequence[Row]) -> Markup:
    steps = _of_kind(rows, "step")
    stems = list(steps[-1]["stems"]) if steps else []
    curves = [_curve(steps, stem, ("stems", stem)) for stem in stems]
    curves.append(_curve(steps, "all", ("loss",)))
    return curves_chart(curves, "training loss by step", "loss")


def _validation_curves(rows: Sequence[Row]) -> dict[str, Markup]:
    """Charts of all candidates and of the chosen one's stems; empty before the first epoch."""
    epochs = [row for row in _of_kind(rows, "epoch") if row.get("candidates")]
    if not epochs:
        return {}
    names = [candidate["name"] for candidate in epochs[-1]["candidates"]]
    charts = {}
    for key, unit in (("loss", "loss"), ("nsdr", "nSDR, dB")):
        curves = [
            Curve(name, tuple((row["step"], _candidate(row, name, key)) for row in epochs))
            for name in names
        ]
        for row in _of_kind(rows, "baseline"):  # a straight line
            value = _number(row, (key,))
            curves.append(Curve(row["name"], ((row["step"], value), (epochs[-1]["step"], value))))
        charts[key] = curves_chart(curves, f"{unit} of all candidates by step", unit)
    curves = [_curve(epochs, stem, ("stems", stem)) for stem in epochs[-1]["stems"]]
    charts["stems"] = curves_chart(curves, "nSDR of each stem by step", "nSDR, dB")
    return charts


def _health_curves(rows: Sequence[Row]) -> dict[str, Markup]:
    """Charts of what shows trouble early, by title."""
    steps, epochs = _of_kind(rows, "step"), _of_kind(rows, "epoch")
    norm = _curve(steps, "before clipping", ("gradient_norm",))
    charts = {"Norm of the gradient": curves_chart([norm], "norm of the gradient by step", "norm")}
    if any(row.get("penalty") for row in steps):
        penalty = _curve(steps, "penalty", ("penalty",))
        charts["Singular-value penalty"] = curves_chart(
            [penalty], "penalty by step", "sum of squares"
        )
    values = list(epochs[-1].get("singular_values") or {}) if epochs else []
    if names := values[:_MOST_SINGULAR_VALUES]:
        curves = [_curve(epochs, name, ("singular_values", name)) for name in names]
        charts["Largest singular values"] = curves_chart(
            curves, "largest singular values by step", "value"
        )
    return charts


def _of_kind(rows: Sequence[Row], kind: str) -> list[Row]:
    return [row for row in rows if row["kind"] == kind]


def _curve(rows: Sequence[Row], name: str, path: Sequence[str]) -> Curve:
    return Curve(name, tuple((row["step"], _number(row, path)) for row in rows))


def _number(row: Mapping[str, Any], path: Sequence[str]) -> float:
    value: Any = row
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return float(value) if isinstance(value, (int, float)) else math.nan


def _candidate(row: Row, name: str, key: str) -> float:
    for candidate in row["candidates"]:
        if candidate["name"] == name:
            return _number(candidate, (key,))
    return math.nan
