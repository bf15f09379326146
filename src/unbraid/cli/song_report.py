"""The page beside the stems that `separate --report` asks for: a result, laid out for the page."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from unbraid.version import __version__

if TYPE_CHECKING:
    from unbraid.api import OutputSettings, Separator, TrackResult
    from unbraid.evaluation.hints import SongHints
    from unbraid.tracks.names import OutputPlan

_EXCERPT_S = 8.0
_MOST_EXCERPTS = 3
_SHARE = 0.15  # of the song may be separated again for hints, though at least one excerpt is
_OFFSET_S = 0.31  # no multiple of a model's hop
_SHORTEST_S = 4.0


def write_track_report(
    plan: OutputPlan, result: TrackResult, separator: Separator, output: OutputSettings
) -> Path:
    """Write the page for a song whose stems are there; returns where.

    Raises:
        UnbraidError: if a file cannot be read, or something else is in the way.
        OSError: if the disk is full.
    """
    from unbraid.evaluation.report.track import TrackReport, write_report

    path = report_path(plan, output.filename)
    report = TrackReport(
        title=plan.track.path.name,
        mixture=plan.track.path,
        parts=result.outputs,
        result=_measured(result),
        hints=song_hints(plan.track.path, result, separator),
        notes=result.notes,
        settings=_settings(separator, output),
        provenance=_provenance(separator),
    )
    write_report(report, path, overwrite=output.overwrite)
    return path


def report_path(plan: OutputPlan, template: str) -> Path:
    """`report.html` where the folder of the stems is the song's own, else named after the song."""
    folder = os.path.commonpath([PurePosixPath(name).parent for name in plan.files.values()])
    name = "report.html"
    if "{track}" not in template.partition("{stem}")[0].rpartition("/")[0]:
        name = f"{PurePosixPath(plan.group.replace('*', '')).stem.strip('-_. ')}.{name}"
    return plan.root / folder / name


def song_hints(mixture: Path, result: TrackResult, separator: Separator) -> SongHints | None:
    """Hints about the written stems of a song; None if only one was written."""
    from unbraid.evaluation.hints import hints_of_files

    stems = {name: path for name, path in result.outputs.items() if name != "residual"}
    if len(stems) < 2:
        return None
    complete = set(stems) >= set(separator.spec.stems) or any(n.startswith("no_") for n in stems)
    hints = hints_of_files(mixture, stems, complete=complete, gain_db=result.gain_db or 0.0)
    differing = _disagreement(mixture, separator)
    return replace(
        hints,
        stems={
            name: replace(stem, disagreement_db=differing.get(name))
            for name, stem in hints.stems.items()
        },
    )


def _disagreement(mixture: Path, separator: Separator) -> Mapping[str, float | None]:
    """Between two runs over a few excerpts; empty for a song too short for that."""
    import numpy as np

    from unbraid.audio.files import probe
    from unbraid.evaluation.hints import disagreement
    from unbraid.evaluation.report.previews import file_seconds, read_excerpts

    rate = probe(mixture).sample_rate
    count = int(_SHARE * file_seconds(mixture) / (2 * _EXCERPT_S))
    excerpts = [
        piece
        for piece in read_excerpts(mixture, _EXCERPT_S, max(1, min(_MOST_EXCERPTS, count)))
        if piece.shape[1] > _SHORTEST_S * rate
    ]
    quiet, separator.on_progress = separator.on_progress, None
    try:
        return disagreement(
            lambda signal: separator.separate(np.ascontiguousarray(signal), rate),
            excerpts,
            round(_OFFSET_S * rate),
        )
    finally:
        separator.on_progress = quiet


def _measured(result: TrackResult) -> dict[str, Any]:
    names = "null_test_db gain_db sample_rate channels seconds_audio seconds_wall peak_rss_mb"
    values = {name: getattr(result, name) for name in names.split()}
    if result.status != "done":  # the time of an earlier run is not known
        values["seconds_wall"] = values["peak_rss_mb"] = None
    return values


def _settings(separator: Separator, output: OutputSettings) -> dict[str, Any]:
    settings = separator.settings
    return {
        "segment": f"{separator.segment_s:g} s",
        "overlap": f"{settings.overlap:g}",
        "shifts": settings.shifts,
        "seed": settings.seed,
        "clip mode": output.clip_mode,
        "format": output.format,
    }


def _provenance(separator: Separator) -> dict[str, Any]:
    rows = {"unbraid": __version__, "model": separator.model_name}
    if separator.model_licence:
        rows["licence of the weights"] = separator.model_licence
    return {**rows, "device": separator.device}
