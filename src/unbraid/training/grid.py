"""Several recipes on the same data, one after the other, and one table that compares them."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from unbraid.atomic import write_text
from unbraid.errors import TrainingError, UnbraidError
from unbraid.training.distributed import Team
from unbraid.training.recipes import find_recipes, read_recipe
from unbraid.training.request import RunRequest
from unbraid.training.runlog import Row, flat, read_log
from unbraid.training.session import Listeners, run_training

TABLE_MD, TABLE_CSV, ERROR = "comparison.md", "comparison.csv", "error.txt"
_SCORES = ("nsdr", "loss", "stems")


def run_grid(
    where: str,
    request: RunRequest,
    team: Team,
    listeners: Callable[[str], Listeners] = lambda name: Listeners(),
) -> tuple[Path, Mapping[str, str]]:
    """Train every recipe of a folder or list, each in FOLDER/NAME, and compare them.

    Finished runs are kept, an interrupted one resumes. A run that fails, for whatever reason, is
    marked in the table, its traceback is in FOLDER/NAME/error.txt, and the next begins: one wrong
    recipe must not cost the hours of the others.

    Args:
        where: a folder of recipes, a bundled one ("ablations"), or "a,b,c".
        request: settings of all runs; `recipe` is ignored, `folder` is that of the grid.
        listeners: those of a run, by its name.
    Returns:
        the table, `comparison.md`, and why runs failed, by name.
    Raises:
        SettingsError: if a recipe or the data is wrong; all recipes are read before the first run.
        Exception: the first failure, if every run failed, or if several processes are a team,
            which would wait for each other forever.
    """
    recipes = find_recipes(where)
    for path in recipes.values():
        read_recipe(path, request.settings)
    failed: dict[str, Exception] = {}
    for name, path in recipes.items():
        own = dataclasses.replace(request, recipe=str(path), folder=request.folder / name)
        try:
            run_training(own, team, listeners(name))
        except Exception as error:
            if team.size > 1 and not isinstance(error, TrainingError):
                raise
            failed[name] = error
        if team.leads:
            _keep_traceback(own.folder, failed.get(name))
            write_comparison(request.folder, list(recipes), _words(failed))
        team.wait()
    if len(failed) == len(recipes):
        raise next(iter(failed.values()))
    return request.folder / TABLE_MD, _words(failed)


def _words(failed: Mapping[str, Exception]) -> dict[str, str]:
    """Why runs failed, in a line each; errors that unbraid did not expect with their kind."""
    return {
        name: " ".join(
            (str(e) if isinstance(e, UnbraidError) else f"{type(e).__name__}: {e}").split()
        )
        for name, e in failed.items()
    }


def _keep_traceback(folder: Path, error: Exception | None) -> None:
    """Write how a run failed next to it; nothing stays of an earlier failure."""
    if error is None:
        (folder / ERROR).unlink(missing_ok=True)
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / ERROR, "".join(traceback.format_exception(error)))


def write_comparison(
    folder: Path, names: Sequence[str], failed: Mapping[str, str] | None = None
) -> None:
    """Write the table of all runs below `folder` that have begun, as Markdown and CSV."""
    rows = [
        _result(folder / name, (failed or {}).get(name))
        for name in names
        if (folder / name / "run.json").exists() or name in (failed or {})
    ]
    rows += _baselines([folder / name for name in names])
    columns = list(dict.fromkeys(column for row in rows for column in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder / TABLE_CSV, text.getvalue())
    write_text(folder / TABLE_MD, _markdown(rows, columns))


def _result(folder: Path, failure: str | None) -> Row:
    """The best scores of one run."""
    if not (folder / "run.json").exists():  # it failed before its first step
        return {"recipe": folder.name, "steps": 0, "note": failure or ""}
    rows = read_log(folder / "log.jsonl")
    best: dict[str, Any] = next(
        (r["best"] for r in reversed(rows) if r["kind"] == "epoch" and r["best"]), {}
    )
    about: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    scores: Row = {key: best[key] for key in _SCORES if key in best}
    return {
        "recipe": folder.name,
        "steps": rows[-1]["step"] if rows else 0,
        "best epoch": best.get("epoch", ""),
        "candidate": best.get("name", ""),
        **flat(scores),
        "parameters": about.get("parameters", ""),
        "refused steps": sum(row["kind"] == "trouble" for row in rows),
        "note": failure or "",
    }


def _baselines(folders: Sequence[Path]) -> list[Row]:
    """What needs no model on the validation tracks; several if recipes read them differently."""
    found: list[Row] = []
    for folder in folders:
        for row in read_log(folder / "log.jsonl"):
            if row["kind"] == "baseline":
                scores = flat({key: row[key] for key in ("nsdr", "stems")})
                found.append({"recipe": f"({row['name']})", **scores})
    return [row for number, row in enumerate(found) if row not in found[:number]]


def _markdown(rows: Sequence[Row], columns: Sequence[str]) -> str:
    def cell(value: Any) -> str:
        if isinstance(value, float):
            return f"{value:.3f}"
        return str(value).replace("|", "\\|").replace("\n", " ")

    heads = [column.replace("stems.", "") for column in columns]
    lines = [
        "# Comparison\n",
        "nSDR and the columns of stems in dB, means over the validation tracks of the best "
        "candidate of the best epoch. In brackets: what needs no model.\n",
        "| " + " | ".join(heads) + " |",
        "|" + "|".join("---" if column in ("recipe",) else "--:" for column in columns) + "|",
    ]
    lines += [
        "| " + " | ".join(cell(row.get(column, "")) for column in columns) + " |" for row in rows
    ]
    return "\n".join(lines) + "\n"
