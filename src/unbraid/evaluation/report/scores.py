"""A page about an evaluation, or several side by side."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from unbraid.evaluation.figures import ALL
from unbraid.evaluation.report.charts import Row, chart
from unbraid.evaluation.report.evaluations import BOXED, page_data
from unbraid.evaluation.report.excerpts import Excerpt, excerpt_sounds, worst_excerpts
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
from unbraid.evaluation.report.previews import audio_tag
from unbraid.evaluation.report.published import sdr_table
from unbraid.evaluation.summary import Summary
from unbraid.version import __version__

_MAIN = {
    "uSDR": "uSDR: mean over songs of nSDR, the measure of the Music Demixing Challenge",
    "cSDR": "cSDR: median over songs of the median over 1 s frames (BSSEval v4), as in most papers",
}
_BOXES = {"nSDR": "nSDR of each song", "cSDR": "Median SDR over the frames of each song"}
_EXCERPTS = 2
_EXCERPT_BUDGET = 6_000_000


def write_scores_report(
    systems: Sequence[Summary], path: Path, *, title: str = "Evaluation", overwrite: bool = False
) -> None:
    """Write a page about one or more evaluations.

    Raises:
        AudioWriteError: if something that is no page of ours is in the way.
        EvaluationError: if two of them cannot be compared.
        OSError: if the disk is full.
    """
    publish_page(render_scores(systems, title), path, overwrite=overwrite)


def render_scores(systems: Sequence[Summary], title: str = "Evaluation") -> str:
    """The page."""
    excerpts = [(s, e) for s in systems for e in worst_excerpts(s.tracks, _EXCERPTS)]
    data = {
        **page_data(systems, title),
        "version": __version__,
        "excerpts": plain([{"system": s.system, **asdict(e)} for s, e in excerpts]),
        "published": sdr_table(),
    }
    figures = Figures(data)
    body = "".join(
        (
            f"<h1>{html.escape(readable(title))}</h1>",
            _overview(figures),
            *(_scores(figures, name, text) for name, text in _MAIN.items()),
            *(_boxes(figures, score, text) for score, text in _BOXES.items()),
            _comparisons(figures),
            _excerpts(figures, excerpts),
            _published(figures),
            _more(figures),
        )
    )
    return render(title, body, data)


def _overview(figures: Figures) -> str:
    rows, warnings = [], []
    for number, system in enumerate(figures.data["systems"]):
        at = pointer("systems", number)
        count = len(system["tracks"])
        rows.append((system["name"], f"{count} track{'s' if count != 1 else ''}"))
        if system["leaked"]:
            warnings.append(
                f"<p class=warn><strong>{html.escape(system['name'])}: these scores say nothing "
                f"about new songs.</strong> {figures.show(at + '/leaked')}</p>"
            )
        if system["failed"]:
            names = ", ".join(html.escape(readable(name)) for name in list(system["failed"])[:5])
            warnings.append(
                f"<p class=warn>{html.escape(system['name'])}: {len(system['failed'])} tracks "
                f"could not be scored and are in no figure: {names}.</p>"
            )
    return (
        facts(rows)
        + "".join(warnings)
        + "<p class=note>In dB, more is better; intervals are 95 %, from a bootstrap over songs. "
        "uSDR and cSDR of the same estimates often differ by a decibel: compare each only with "
        "itself.</p>"
    )


def _scores(figures: Figures, name: str, text: str) -> str:
    columns = [ALL, *figures.data["stems"]]
    rows = []
    for number, system in enumerate(figures.data["systems"]):
        stems = system["figures"].get(name)
        if stems is None:
            continue
        cells = [_interval(figures, ("systems", number, "figures", name, c)) for c in columns]
        rows.append([_system_name(system), *cells])
    if not rows:
        return ""
    return f"<h2>{name}</h2>" + table(["system", *_heads(columns)], rows, text)


def _interval(figures: Figures, steps: tuple[str | int, ...], format: str = "{:.2f}") -> str:
    """A value with the ends of its interval, if it is there."""
    *above, last = steps
    cell = figures.at(pointer(*above)).get(last)
    if cell is None or cell["value"] is None:
        return "–"
    at = pointer(*steps)
    value = figures.show(f"{at}/value", format)
    if cell["low"] is None:
        return value
    low, high = (figures.show(f"{at}/{end}", format) for end in ("low", "high"))
    return f"{value}<small>{low} … {high}</small>"


def _boxes(figures: Figures, score: str, text: str) -> str:
    rows = []
    for stem in figures.data["stems"]:
        for number, system in enumerate(figures.data["systems"]):
            box = system["boxes"][score].get(stem)
            group = stem if number == 0 else ""
            name = system["name"]
            if box is None:
                rows.append(Row(name, f"{name}, {stem}: no score", number, None, group=group))
                continue
            told = (
                f"{name}, {stem}: median {box['median']:.2f} dB, quartiles {box['low']:.2f} and "
                f"{box['high']:.2f}, {box['count']} songs"
            )
            rows.append(
                Row(
                    *(name, told, number, box["median"], box["low"], box["high"]),
                    *(box["least"], box["most"]),
                    points=tuple(box["outliers"]),
                    group=group,
                )
            )
    if not any(row.middle is not None for row in rows):
        return ""
    caption = (
        "Box: the middle half of the songs, with the median; whiskers to the farthest song within "
        "1.5 boxes; circles beyond."
    )
    drawn = chart(rows, "dB", text)
    return f"<h2>{text}</h2><figure>{drawn}<figcaption>{caption}</figcaption></figure>"


def _comparisons(figures: Figures) -> str:
    rows = []
    columns = [ALL, *figures.data["stems"]]
    for number, comparison in enumerate(figures.data["comparisons"]):
        for name in _MAIN:
            if name not in comparison["figures"]:
                continue
            at = ("comparisons", number, "figures", name)
            label = f"{html.escape(comparison['first'])} − {html.escape(comparison['second'])}"
            wins = "–"
            if comparison["figures"][name].get(ALL):
                whole = pointer(*at, ALL)
                wins = " : ".join(figures.show(f"{whole}/{end}") for end in ("wins", "losses"))
            cells = [_interval(figures, (*at, column), "{:+.2f}") for column in columns]
            rows.append([label, name, *cells, wins])
    if not rows:
        return ""
    head = ["systems", "score", *_heads(columns), "songs won : lost"]
    return "<h2>Compared song by song</h2>" + table(
        head,
        rows,
        "Difference on the same songs; an interval without 0 is a difference that other songs "
        "would most likely show too",
    )


def _excerpts(figures: Figures, excerpts: Sequence[tuple[Summary, Excerpt]]) -> str:
    parts, silent, spent = [], [], 0
    for number, (system, excerpt) in enumerate(excerpts):
        at = pointer("excerpts", number)
        track = next(track for track in system.tracks if track.name == excerpt.track)
        tags = []
        for name, mp3 in excerpt_sounds(track, excerpt).items():
            spent += len(mp3) * 4 // 3
            if spent < _EXCERPT_BUDGET:
                label = f"{name}, {excerpt.track}, {excerpt.stem}"
                tags.append(f"<div><small>{name}</small>{audio_tag(mp3, readable(label))}</div>")
        stem, song, who = (figures.show(f"{at}/{key}") for key in ("stem", "track", "system"))
        sdr = figures.show(f"{at}/sdr", "{:.2f} dB")
        start, length = (figures.show(f"{at}/{key}", "{:g} s") for key in ("start_s", "seconds"))
        if tags:
            parts.append(
                f"<h3>{stem} of {song}</h3><p class=note>{who}: mean SDR {sdr} over {length} from "
                f"{start} on</p><div class=row>{''.join(tags)}</div>"
            )
        else:
            silent.append([who, stem, song, start, length, sdr])
    if silent:
        parts.append(
            table(
                ["system", "stem", "track", "from", "for", "mean SDR"],
                silent,
                "Without players: estimates and references were no longer in files, or the page "
                "would have grown too large",
            )
        )
    return f"<h2>Worst excerpts</h2>{''.join(parts)}" if parts else ""


def _published(figures: Figures) -> str:
    columns = ["All", "drums", "bass", "other", "vocals"]
    rows = []
    for number in range(len(figures.data["published"]["rows"])):
        at = pointer("published", "rows", number)
        cells = [figures.show(f"{at}/{column}", "{:.2f}") for column in columns]
        rows.append(
            [
                figures.show(f"{at}/method"),
                *cells,
                "50 test tracks of " + figures.show(f"{at}/data"),
            ]
        )
    for number, system in enumerate(figures.data["systems"]):
        if "cSDR" not in system["figures"]:
            continue
        cells = [
            figures.show(pointer("systems", number, "figures", "cSDR", name, "value"), "{:.2f}")
            if system["figures"]["cSDR"].get(name)
            else "–"
            for name in (ALL, *columns[1:])
        ]
        count = len(system["tracks"])
        rows.append(
            [f"<strong>{_system_name(system)}</strong>, here", *cells, f"{count} tracks here"]
        )
    differs = "".join(f"<li>{html.escape(text)}</li>" for text in _differences(figures.data))
    return (
        "<h2>Beside published results</h2>"
        + table(["method", *columns, "measured on"], rows, figures.show("/published/measure"))
        + f"<p class=note>{figures.show('/published/source')}. What differs:</p>"
        f"<ul class=note>{differs}</ul>"
    )


def _differences(data: Mapping[str, Any]) -> list[str]:
    """Why our figures and the published ones may not compare."""
    texts = []
    for system in data["systems"]:
        count = len(system["tracks"])
        if count != 50:
            texts.append(
                f"{system['name']} was measured on {count} tracks of another set, not on the 50 of "
                "the MUSDB18 test set; songs differ more than systems do, so the rows above say "
                "nothing about which is better."
            )
        else:
            texts.append(
                f"{system['name']} was measured on 50 tracks; only if they are the MUSDB18-HQ test "
                "set do the rows compare."
            )
        if system["leaked"]:
            texts.append(f"{system['name']} may have been trained on these tracks.")
    texts.append(
        "Published methods marked MUSDB were measured on the compressed set, those marked MUSDB-HQ "
        "on the uncompressed one; random shifts move a figure by some 0.02 dB."
    )
    texts.append("Training data differ: see the page of each model for what it was trained on.")
    return texts


def _more(figures: Figures) -> str:
    parts = []
    stems = figures.data["stems"]
    for number, system in enumerate(figures.data["systems"]):
        others = [name for name in system["figures"] if name not in _MAIN]
        columns = [ALL, *stems]
        rows = [
            [name, *(_interval(figures, ("systems", number, "figures", name, c)) for c in columns)]
            for name in others
        ]
        rest = table(["score", *_heads(columns)], rows) if rows else ""
        songs = []
        for track, entry in system["tracks"].items():
            at = ("systems", number, "tracks", track, "stems")
            cells = [
                figures.show(pointer(*at, stem, score), "{:.2f}") if stem in entry["stems"] else "–"
                for score in BOXED
                for stem in stems
            ]
            silent = [s for s, values in entry["stems"].items() if values["silent_reference"]]
            notes = [*entry["notes"], *(f"{s}: silent reference, not in the means" for s in silent)]
            text = html.escape("; ".join(map(readable, notes)))
            songs.append([html.escape(readable(track)), *cells, f"<small>{text}</small>"])
        head = ["track", *(f"{score} {html.escape(s)}" for score in BOXED for s in stems), "notes"]
        settings = facts(
            [
                (key, figures.show(pointer("systems", number, group, key)))
                for group in ("settings", "provenance")
                for key, value in system[group].items()
                if not isinstance(value, (dict, list))
            ]
        )
        parts.append(
            f"<details><summary>{_system_name(system)}: all scores, song by song</summary>"
            f"{settings}{rest}{table(head, songs)}</details>"
        )
    return f"<h2>Everything</h2>{''.join(parts)}"


def _heads(columns: Sequence[str]) -> list[str]:
    return ["All" if name == ALL else html.escape(readable(name)) for name in columns]


def _system_name(system: Mapping[str, Any]) -> str:
    mark = " (has seen these songs)" if system["leaked"] else ""
    return html.escape(readable(system["name"])) + mark
