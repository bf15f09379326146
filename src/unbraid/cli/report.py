"""The page beside the stems that `--report` asks for: facts of a result, laid out for the page."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from unbraid import __version__
from unbraid.cli.display import clock

if TYPE_CHECKING:
    from unbraid.api import OutputSettings, Separator, TrackResult
    from unbraid.tracks.names import OutputPlan


def write_track_report(
    plan: OutputPlan, result: TrackResult, separator: Separator, output: OutputSettings
) -> Path:
    """Write the page for a song whose stems are there; returns where.

    Raises:
        UnbraidError: if a file cannot be read, or something else is in the way.
        OSError: if the disk is full.
    """
    from unbraid.evaluation.track_report import TrackReport, write_report

    path = report_path(plan, output.filename)
    report = TrackReport(
        title=plan.track.path.name,
        mixture=plan.track.path,
        parts=result.outputs,
        facts=_facts(result),
        notes=result.notes,
        provenance=_provenance(separator, output),
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


def _facts(result: TrackResult) -> list[tuple[str, str]]:
    rows = []
    if result.seconds_audio is not None:
        rows.append(("length", clock(result.seconds_audio)))
    if result.sample_rate is not None:
        rows.append(("written as", f"{result.sample_rate} Hz, {result.channels} channels"))
    if result.gain_db is not None:
        rows.append(("gain shared by all stems", f"{result.gain_db:.2f} dB"))
    if result.null_test_db is not None:
        rows.append(("null test: input minus all parts", f"{result.null_test_db:.1f} dB"))
    if result.seconds_wall is not None and result.status == "done":
        rows.append(("time taken", clock(result.seconds_wall)))
    return rows


def _provenance(separator: Separator, output: OutputSettings) -> list[tuple[str, str]]:
    settings = separator.settings
    rows = [("unbraid", __version__), ("model", separator.model_name)]
    licence = separator.model_licence
    if licence:
        rows.append(("licence of the weights", licence))
    rows += [
        ("device", separator.device),
        ("segment", f"{separator.segment_s:g} s, overlap {settings.overlap:g}"),
        ("shifts, seed", f"{settings.shifts}, {settings.seed}"),
        ("clip mode", output.clip_mode),
    ]
    return rows
