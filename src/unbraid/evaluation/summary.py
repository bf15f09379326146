"""The files that sum an evaluation up: scores.csv and summary.json; and reading one again."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unbraid.atomic import write_text
from unbraid.errors import EvaluationError
from unbraid.evaluation.baseline_figures import baseline_figures
from unbraid.evaluation.comparison import Difference
from unbraid.evaluation.evaluate import Evaluation
from unbraid.evaluation.figures import Figure, aggregate, stem_names
from unbraid.evaluation.scores import FRAMED, WHOLE_SONG, TrackScores, load_track, reason, rounded
from unbraid.version import __version__

SUMMARY = "summary.json"
CSV = "scores.csv"
FORMAT = 1

MEANING = {
    "uSDR": "mean over songs of nSDR (whole song; the Music Demixing Challenge's figure)",
    "nSDR_median": "median over songs of nSDR",
    "SI-SDR": "mean over songs of scale-invariant SDR (whole song)",
    "SI-SDR_median": "median over songs of scale-invariant SDR",
    "cSDR": "median over songs of the median over frames of BSSEval v4 SDR (SiSEC's figure)",
    "cISR": "like cSDR, of ISR",
    "cSIR": "like cSDR, of SIR",
    "cSAR": "like cSDR, of SAR",
    "cSDR_mean": "mean over songs of the median over frames of BSSEval v4 SDR",
    "cISR_mean": "like cSDR_mean, of ISR",
    "cSIR_mean": "like cSDR_mean, of SIR",
    "cSAR_mean": "like cSDR_mean, of SAR",
}


@dataclass(frozen=True)
class Summary:
    """An evaluation as a whole.

    Attributes:
        system: what was evaluated, by name.
        figures: name -> stem or "all" -> figure.
        tracks: scores of all tracks.
        failed: track to what went wrong.
        leaked: why the scores say nothing; None if they do.
        provenance: where references and estimates come from; plain JSON.
        settings: what was measured; plain JSON.
        notes: what does not belong to one track.
        split: folder of the tracks' files.
        comparison: with another system, as `comparison_json` gives it.
        baselines: baseline -> name -> stem or "all" -> figure, on the tracks that have them; see
            `baselines`.
    """

    system: str
    figures: dict[str, dict[str, Figure]]
    tracks: list[TrackScores]
    failed: dict[str, str] = field(default_factory=dict)
    leaked: str | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    split: str = "test"
    comparison: dict[str, Any] | None = None
    baselines: dict[str, dict[str, dict[str, Figure]]] = field(default_factory=dict)


def summarize(
    done: Evaluation,
    *,
    system: str,
    leaked: str | None,
    provenance: dict[str, Any],
    split: str = "test",
) -> Summary:
    """Take the scores of all tracks together."""
    return Summary(
        system=system,
        figures=aggregate(done.tracks),
        tracks=done.tracks,
        failed=done.failed,
        leaked=leaked,
        provenance=provenance,
        settings=done.tracks[0].settings if done.tracks else {},
        notes=done.notes,
        split=split,
        baselines=baseline_figures(done.tracks),
    )


def save_summary(out: Path, summary: Summary) -> None:
    """Write summary.json and scores.csv.

    Raises:
        OSError: if the disk is full or the folder cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / CSV, csv_text(summary))
    text = json.dumps(_as_json(summary), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(out / SUMMARY, text + "\n")


def load_summary(out: Path) -> Summary:
    """Read an evaluation: a folder that unbraid wrote, or one with only museval's JSON files.

    Raises:
        EvaluationError: if it is neither.
    """
    if not (out / SUMMARY).exists():
        tracks = [load_track(path) for path in sorted(files_of_scores(out))]
        if not tracks:
            raise EvaluationError(
                f"{str(out)!r} holds no evaluation; make one with unbraid evaluate --out DIR"
            )
        return Summary(system=out.resolve().name, figures=aggregate(tracks), tracks=tracks)
    try:
        content = json.loads((out / SUMMARY).read_text(encoding="utf-8"))
        paths = [out / content["split"] / f"{name}.json" for name in content["per_track"]]
        return Summary(
            system=content["system"],
            figures=_figures(content["figures"]),
            tracks=[load_track(path) for path in paths],
            failed=content["failed"],
            leaked=content["leaked"],
            provenance=content["provenance"],
            settings=content["settings"],
            notes=content["notes"],
            split=content["split"],
            comparison=content.get("comparison"),
            baselines={n: _figures(found) for n, found in content.get("baselines", {}).items()},
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EvaluationError(f"{str(out / SUMMARY)!r} cannot be read: {reason(error)}") from error


def files_of_scores(folder: Path) -> Iterator[Path]:
    """All JSON files but hidden ones, such as the records of separated stems."""
    for path in folder.rglob("*.json"):
        if not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def csv_text(summary: Summary) -> str:
    """One line for each track and stem; an empty field where there is no score."""
    columns = (*WHOLE_SONG, *FRAMED)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            "system",
            "track",
            "stem",
            *columns,
            "frames",
            "scored_frames",
            "silent_reference",
            "leaked",
        ]
    )
    for track in summary.tracks:
        for stem, values in track.stems.items():
            sdr = values.frames.get("SDR", ())
            scored = sum(math.isfinite(value) for value in sdr)
            figures = [_cell(values.value(name)) for name in columns]
            writer.writerow(
                [
                    *(summary.system, track.name, stem),
                    *figures,
                    *(len(sdr), scored, int(values.silent_reference), summary.leaked or ""),
                ]
            )
    return text.getvalue()


def comparison_json(
    other: Summary, path: Path, tracks: Sequence[str], found: Mapping[str, Mapping[str, Difference]]
) -> dict[str, Any]:
    """A comparison as plain values."""
    return {
        "with": other.system,
        "path": str(path),
        "leaked": other.leaked,
        "tracks": list(tracks),
        "differences": {
            name: {stem: _plain(vars(difference)) for stem, difference in stems.items()}
            for name, stems in found.items()
        },
    }


def _as_json(summary: Summary) -> dict[str, Any]:
    content = {
        "format": FORMAT,
        "unbraid": __version__,
        "system": summary.system,
        "leaked": summary.leaked,
        "split": summary.split,
        "tracks": len(summary.tracks),
        "stems": stem_names(summary.tracks),
        "figures": _plain_figures(summary.figures),
        "baselines": {n: _plain_figures(found) for n, found in summary.baselines.items()},
        "meaning": {name: MEANING[name] for name in summary.figures},
        "per_track": {
            track.name: {
                stem: {
                    **_plain({name: values.value(name) for name in (*WHOLE_SONG, *FRAMED)}),
                    "silent_reference": values.silent_reference,
                }
                for stem, values in track.stems.items()
            }
            for track in summary.tracks
        },
        "failed": summary.failed,
        "notes": summary.notes,
        "settings": summary.settings,
        "provenance": summary.provenance,
    }
    return content if summary.comparison is None else {**content, "comparison": summary.comparison}


def _plain_figures(figures: Mapping[str, Mapping[str, Figure]]) -> dict[str, Any]:
    return {
        name: {stem: _plain(vars(figure)) for stem, figure in stems.items()}
        for name, stems in figures.items()
    }


def _figures(content: Mapping[str, Any]) -> dict[str, dict[str, Figure]]:
    return {
        name: {stem: Figure(**_numbers(figure)) for stem, figure in stems.items()}
        for name, stems in content.items()
    }


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers rounded as in all files; None for NaN and infinity, as strict JSON requires."""
    return {
        name: _or_none(value) if isinstance(value, float) else value
        for name, value in values.items()
    }


def _or_none(value: float) -> float | None:
    return rounded(value) if math.isfinite(value) else None


def _numbers(figure: Mapping[str, Any]) -> dict[str, Any]:
    return {name: math.nan if value is None else value for name, value in figure.items()}


def _cell(value: float) -> str:
    return str(rounded(value)) if math.isfinite(value) else ""
