"""The analysis of a study as a page and as tables."""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from unbraid.atomic import write_text
from unbraid.evaluation.report.charts import Row, chart
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
from unbraid.evaluation.report.published import human_study
from unbraid.listening.analysis import ALL
from unbraid.listening.ratings import Answer


def write_results(
    analysis: Mapping[str, Any], answers: Sequence[Answer], out: Path, *, overwrite: bool = False
) -> list[Path]:
    """Write report.html, analysis.json, means.csv, pairs.csv and ratings.csv; returns them.

    Raises:
        AudioWriteError: if a report.html that is not ours is in the way.
        OSError: if the disk is full.
    """
    out.mkdir(parents=True, exist_ok=True)
    data = plain(analysis)
    publish_page(results_page(data), out / "report.html", overwrite=overwrite)
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


def results_page(analysis: Mapping[str, Any]) -> str:
    """The page of an analysis; its data is the content of `analysis.json`, beside the paper's."""
    data = {**analysis, "paper": human_study()}
    figures = Figures(data)
    title = readable(str(data["title"]))
    body = "".join(
        (
            f"<h1>{html.escape(title)}: results</h1>",
            _overview(figures),
            *(_question(figures, question) for question in data["questions"]),
            _pairs(figures),
            _left_out(figures),
            _paper(figures) if data["mode"] == "likert" else "",
        )
    )
    return render(f"{title}: results", body, data)


def _overview(figures: Figures) -> str:
    low, high = ("1", "5") if figures.data["mode"] == "likert" else ("0", "100")
    rows = [
        ("raters that count", f"{figures.show('/raters_kept')} of {figures.show('/raters')}"),
        ("answers that count", f"{figures.show('/answers_kept')} of {figures.show('/answers')}"),
        ("scale", f"{low} (worst) to {high} (best)"),
        ("excerpts", figures.show("/settings/excerpt_s", "{:g} s")),
        ("loudness of every sound", figures.show("/settings/loudness_lufs", "{:g} LUFS")),
        ("hidden reference", figures.show("/reference")),
    ]
    for question in figures.data["questions"]:
        at = pointer("agreement", question, "alpha")
        rows.append(
            (
                f"agreement on {question} (Krippendorff)",
                figures.show(at, "α\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{:.2f}"),
            )
        )
    return facts(rows)


def _question(figures: Figures, question: str) -> str:
    data = figures.data
    columns = [ALL, *data["stems"]]
    rows, lines = [], []
    for stem in columns:
        for number, system in enumerate(data["systems"]):
            cell = data["means"][question][system][stem]
            lines.append(_row(cell, system, stem, number, first=number == 0))
    for system in data["systems"]:
        cells = [_cell(figures, question, system, stem) for stem in columns]
        rows.append([html.escape(system), *cells])
    limits = (1.0, 5.0) if data["mode"] == "likert" else (0.0, 100.0)
    scale = "mean rating, 95 % interval"
    return (
        f"<h2>{html.escape(question.capitalize())}</h2>"
        + table(["system", *map(html.escape, columns)], rows, "Mean with its 95 % interval")
        + f"<figure>{chart(lines, scale, f'mean ratings of {question}', limits)}</figure>"
    )


def _cell(figures: Figures, question: str, system: str, stem: str) -> str:
    cell = figures.data["means"][question][system][stem]
    if cell is None:
        return "–"
    at = pointer("means", question, system, stem)
    mean = figures.show(f"{at}/mean", "{:.2f}")
    if cell["low"] is None:
        return mean
    low, high = (figures.show(f"{at}/{end}", "{:.2f}") for end in ("low", "high"))
    return f"{mean}<small>{low} … {high}</small>"


def _row(
    cell: Mapping[str, Any] | None, system: str, stem: str, number: int, *, first: bool
) -> Row:
    group = stem if first else ""
    if cell is None:
        return Row(system, f"{system}, {stem}: no answers", number, None, group=group)
    text = f"{system}, {stem}: {cell['mean']:.2f}"
    if cell["low"] is not None:
        text += f" ({cell['low']:.2f} to {cell['high']:.2f}), {cell['answers']} answers"
    return Row(system, text, number, cell["mean"], cell["low"], cell["high"], group=group)


def _pairs(figures: Figures) -> str:
    rows = []
    for number, _ in enumerate(figures.data["pairs"]):
        at = pointer("pairs", number)
        ends = [figures.show(f"{at}/{end}", "{:.2f}") for end in ("low", "high")]
        rows.append(
            [
                figures.show(f"{at}/question"),
                figures.show(f"{at}/better"),
                figures.show(f"{at}/worse"),
                figures.show(f"{at}/difference", "{:.2f}"),
                " … ".join(ends),
                figures.show(f"{at}/raters"),
                figures.show(f"{at}/p", "{:.2g}"),
                figures.show(f"{at}/p_holm", "{:.2g}"),
            ]
        )
    head = "question|rated higher|rated lower|difference|95 % interval|raters|p|p, corrected"
    return (
        "<h2>Systems in pairs</h2><p class=note>The same raters' means of both systems, compared "
        "by the exact Wilcoxon signed-rank test over raters; corrected for all pairs and questions "
        "after Holm.</p>" + table(head.split("|"), rows)
    )


def _left_out(figures: Figures) -> str:
    rows = [(rater, figures.show(pointer("excluded", rater))) for rater in figures.data["excluded"]]
    text = figures.show("/exclusion_rule")
    return f"<h2>Who was left out</h2><p>By a rule set beforehand: {text}.</p>" + (
        facts(rows) if rows else "<p>Nobody.</p>"
    )


def _paper(figures: Figures) -> str:
    paper = figures.data["paper"]
    columns = ["All", "Drums", "Bass", "Other", "Vocals"]
    tables = []
    for question, systems in paper["questions"].items():
        rows = [
            [
                html.escape(system),
                *(
                    figures.show(pointer("paper", "questions", question, system, column), "{:.2f}")
                    for column in columns
                ),
            ]
            for system in systems
        ]
        tables.append(table(["system", *columns], rows, f"Published: {question}"))
    return (
        "<h2>The study this one follows</h2><details><summary>Published means, for orientation"
        f"</summary><p class=note>{figures.show('/paper/differs')}</p>{''.join(tables)}</details>"
    )


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()
