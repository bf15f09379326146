"""The analysis of a study as a page and as tables."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unbraid.atomic import write_text
from unbraid.evaluation.published import human_study
from unbraid.listening.analysis import ALL
from unbraid.listening.ratings import Answer
from unbraid.pages.charts import Row, chart
from unbraid.pages.page import Page, plain
from unbraid.words import counted

if TYPE_CHECKING:
    from markupsafe import Markup


def write_results(
    analysis: Mapping[str, Any], answers: Sequence[Answer], out: Path, *, overwrite: bool = False
) -> list[Path]:
    """Write report.html, analysis.json, means.csv, pairs.csv and ratings.csv; returns them.

    Raises:
        AudioWriteError: if a report.html that is not a page of unbraid is in the way.
        OSError: if the disk is full.
    """
    out.mkdir(parents=True, exist_ok=True)
    data = plain(analysis)
    results_page(data).write(out / "report.html", overwrite=overwrite)
    texts = {
        "analysis.json": json.dumps(data, indent=1),
        "means.csv": means_csv(data),
        "pairs.csv": _csv(data["pairs"]),
        "ratings.csv": _csv([asdict(answer) for answer in answers]),
    }
    for name, text in texts.items():
        write_text(out / name, text)
    return [out / "report.html", *(out / name for name in texts)]


def means_csv(analysis: Mapping[str, Any]) -> str:
    """question, system, stem, mean, low, high, answers, raters."""
    rows = [
        {"question": question, "system": system, "stem": stem, **interval}
        for question, systems in analysis["means"].items()
        for system, stems in systems.items()
        for stem, interval in stems.items()
        if interval is not None
    ]
    return _csv(rows)


def results_page(analysis: Mapping[str, Any]) -> Page:
    """The page of an analysis; its data is `analysis.json` and the means of the paper."""
    data = {**analysis, "paper": human_study()}
    title = f"{data['title']}: results"
    likert = data["mode"] == "likert"
    return Page(
        title=title,
        data=data,
        package="unbraid.listening",
        template="results.html",
        values={
            "scale": (1, 5) if likert else (0, 100),
            "likert": likert,
            "columns": [ALL, *data["stems"]],
            "charts": {question: _chart(data, question) for question in data["questions"]},
        },
    )


def _chart(data: Mapping[str, Any], question: str) -> Markup:
    limits = (1.0, 5.0) if data["mode"] == "likert" else (0.0, 100.0)
    rows = [
        _row(data["means"][question][system][stem], system, stem, number)
        for stem in (ALL, *data["stems"])
        for number, system in enumerate(data["systems"])
    ]
    return chart(rows, "mean rating, 95 % interval", f"mean ratings of {question}", limits)


def _row(cell: Mapping[str, Any] | None, system: str, stem: str, number: int) -> Row:
    group = stem if number == 0 else ""
    if cell is None:
        return Row(system, f"{system}, {stem}: no answers", number, None, group=group)
    text = f"{system}, {stem}: {cell['mean']:.2f}"
    if cell["low"] is not None:
        text += f" ({cell['low']:.2f} to {cell['high']:.2f}), {counted(cell['answers'], 'answer')}"
    return Row(system, text, number, cell["mean"], cell["low"], cell["high"], group=group)


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()
