"""A page about a run: curves, best scores, recipe, data, environment. One file, nothing fetched."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unbraid.evaluation.report.page import (
    Figures,
    facts,
    plain,
    pointer,
    publish_page,
    readable,
    render,
    table,
)
from unbraid.training.curves import Curve, curves_chart
from unbraid.training.runlog import Row, read_log

REPORT = "report.html"


def write_report(folder: Path) -> Path:
    """Write `report.html` of the run in `folder` from what is kept there; it can still be going on.

    Raises:
        AudioWriteError: if something that is no page of ours is in the way.
        OSError: if the disk is full.
    """
    path = folder / REPORT
    publish_page(render_report(folder), path)
    return path


def render_report(folder: Path) -> str:
    """The page."""
    rows = read_log(folder / "log.jsonl")
    recipe = (folder / "recipe.toml").read_text(encoding="utf-8")
    about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    data = _page_data(folder.resolve().name, rows, about)
    figures = Figures(data)
    body = "".join(
        (
            f"<h1>Training run {html.escape(readable(data['name']))}</h1>",
            _overview(figures),
            _best(figures),
            _loss_curves(rows),
            _validation_curves(rows),
            _health_curves(rows),
            _notes(rows),
            _about(figures),
            "<h2>Recipe</h2>",
            f"<details><summary>recipe.toml</summary><pre>{html.escape(recipe)}</pre></details>",
        )
    )
    return render(f"Training run {data['name']}", body, data)


def _page_data(name: str, rows: Sequence[Row], about: Mapping[str, Any]) -> dict[str, Any]:
    steps = [row for row in rows if row["kind"] == "step"]
    epochs = [row for row in rows if row["kind"] == "epoch"]
    waiting = [row["waiting"] for row in steps if row.get("waiting") is not None]
    speeds = [row["audio_s_per_s"] for row in steps if row.get("audio_s_per_s") is not None]
    best = next((row["best"] for row in reversed(epochs) if row.get("best")), None)
    data: dict[str, Any] = plain(
        {
            "name": name,
            "steps": rows[-1]["step"] if rows else 0,
            "epochs": epochs[-1]["epoch"] if epochs else 0,
            "last_loss": steps[-1]["loss"] if steps else None,
            "waiting": sum(waiting) / len(waiting) if waiting else None,
            "audio_s_per_s": sorted(speeds)[len(speeds) // 2] if speeds else None,
            "trouble": sum(row["kind"] == "trouble" for row in rows),
            "best": best,
            "origin": about.get("origin", ""),
            "data": {**about["summary"], "roots": about["data"]},
            "environment": about["environment"],
        }
    )
    return data


def _overview(figures: Figures) -> str:
    return facts(
        [
            ("Steps", figures.show("/steps", "{:,}")),
            ("Epochs", figures.show("/epochs", "{:,}")),
            ("Training loss, last", figures.show("/last_loss", "{:.5g}")),
            ("Audio per second of computing", figures.show("/audio_s_per_s", "{:.1f} s")),
            ("Share of time waiting for data", figures.show("/waiting", "{:.1%}")),
            ("Steps refused", figures.show("/trouble", "{:,}")),
            ("Weights at the start", figures.show("/origin")),
        ]
    )


def _best(figures: Figures) -> str:
    best = figures.data["best"]
    if not best or "stems" not in best:
        return "<h2>Best</h2><p>No validation tracks: best.safetensors is the last state.</p>"
    rows = [
        [html.escape(readable(stem)), figures.show(pointer("best", "stems", stem), "{:.2f} dB")]
        for stem in best["stems"]
    ]
    rows.append(["mean", figures.show("/best/nsdr", "{:.2f} dB")])
    return (
        "<h2>Best</h2>"
        f"<p>After epoch {figures.show('/best/epoch')}, step {figures.show('/best/step', '{:,}')}: "
        f"{figures.show('/best/name')}, validation loss {figures.show('/best/loss', '{:.5g}')}.</p>"
        + table(["Stem", "nSDR"], rows, "Mean over the validation tracks.")
    )


def _loss_curves(rows: Sequence[Row]) -> str:
    steps = [row for row in rows if row["kind"] == "step"]
    stems = list(steps[-1]["stems"]) if steps else []
    curves = [_curve(steps, stem, ("stems", stem)) for stem in stems]
    curves.append(_curve(steps, "all", ("loss",)))
    return "<h2>Training loss</h2>" + curves_chart(curves, "training loss by step", "loss")


def _validation_curves(rows: Sequence[Row]) -> str:
    epochs = [row for row in rows if row["kind"] == "epoch" and row.get("candidates")]
    if not epochs:
        return ""
    names = [candidate["name"] for candidate in epochs[-1]["candidates"]]
    parts = ["<h2>Validation</h2>"]
    for key, unit in (("loss", "loss"), ("nsdr", "nSDR, dB")):
        curves = [
            Curve(name, tuple((row["step"], _candidate(row, name, key)) for row in epochs))
            for name in names
        ]
        parts.append(curves_chart(curves, f"{unit} of all candidates by step", unit))
    stems = list(epochs[-1]["stems"])
    curves = [_curve(epochs, stem, ("stems", stem)) for stem in stems]
    parts.append("<h3>Stems of the candidate chosen</h3>")
    parts.append(curves_chart(curves, "nSDR of each stem by step", "nSDR, dB"))
    return "".join(parts)


def _health_curves(rows: Sequence[Row]) -> str:
    steps = [row for row in rows if row["kind"] == "step"]
    epochs = [row for row in rows if row["kind"] == "epoch"]
    parts = ["<h2>Health</h2><h3>Norm of the gradient</h3>"]
    norm = _curve(steps, "before clipping", ("gradient_norm",))
    parts.append(curves_chart([norm], "norm of the gradient by step", "norm"))
    if any(row.get("penalty") for row in steps):
        penalty = _curve(steps, "penalty", ("penalty",))
        parts.append("<h3>Singular-value penalty</h3>")
        parts.append(curves_chart([penalty], "penalty by step", "sum of squares"))
    names = list(epochs[-1].get("singular_values") or {})[:6] if epochs else []
    if names:
        curves = [_curve(epochs, name, ("singular_values", name)) for name in names]
        parts.append("<h3>Largest singular values</h3>")
        parts.append(curves_chart(curves, "largest singular values by step", "value"))
    return "".join(parts)


def _notes(rows: Sequence[Row]) -> str:
    notes = [row for row in rows if row["kind"] in ("note", "trouble")]
    if not notes:
        return ""
    items = "".join(
        f"<li>Step {row['step']:,}: "
        f"{html.escape(readable(str(row.get('text') or row.get('trouble'))))}</li>"
        for row in notes[-50:]
    )
    return f"<h2>Events</h2><ul>{items}</ul>"


def _about(figures: Figures) -> str:
    data = [
        (_words(name), _listed(figures, "data", name, value))
        for name, value in figures.data["data"].items()
    ]
    machine = [(_words(n), figures.show(pointer("environment", n))) for n in
               figures.data["environment"]]  # fmt: skip
    return f"<h2>Data</h2>{facts(data)}<h2>Environment</h2>{facts(machine)}"


def _listed(figures: Figures, *at: Any) -> str:
    *steps, value = at
    if isinstance(value, list):
        return ", ".join(figures.show(pointer(*steps, number)) for number in range(len(value)))
    return figures.show(pointer(*steps))


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


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()
