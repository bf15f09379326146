"""Write the report of a separated song: from the command line, from Python, from the web app."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unbraid.errors import SettingsError
from unbraid.separation.progress import UNWATCHED, Progress, Watch
from unbraid.song_page.hints import SongHints, hints_of_files
from unbraid.song_page.page import SongReport, is_current, write_report
from unbraid.song_page.second_look import second_look
from unbraid.version import __version__

if TYPE_CHECKING:
    from unbraid.api import OutputSettings, Separator, TrackResult
    from unbraid.audio.signal import Signal

FILENAME = "report.html"

SHARE = 0.6
"""Of the time of a song and its report, with the default model. The demo song takes 7.5 s of
processor time without its report and 17.2 s with it: 1.4 s hints, 0.8 s second look, 7.5 s page."""

# How the time of a report divides: hints, and within them the levels before the second look.
_HINTS, _LEVELS = 0.33, 0.76


def write_song_report(
    result: TrackResult,
    path: Path | None = None,
    *,
    separator: Separator | None = None,
    output: OutputSettings | None = None,
    overwrite: bool = False,
    watch: Watch = UNWATCHED,
    title: str | None = None,
    links: Mapping[str, str] | None = None,
) -> Path:
    """Write a page about a song whose stems are on disk: players, pictures, levels, hints.

    Args:
        result: what `Separator.separate_file` returned.
        path: of the page; by default `report.html` in the folder of the stems.
        separator: what made the stems. With it the page has settings and provenance, and a few
            excerpts are separated again to see where the model is in doubt.
        output: settings to list on the page.
        overwrite: replace a file that is not a page of unbraid.
        watch: told how far the stage "report" has come.
        title: of the song; by default the name of its file.
        links: addresses of "mixture" and the stems, where they are not those of the files.
    Returns:
        where the page is.
    Raises:
        UnbraidError: if there are no stems, a file cannot be read, or a foreign file is in the way.
        OSError: if the disk is full.
    """
    report = _about(result, separator, output, title, links)
    path = path or _usual_place(result)
    hints = song_hints(report.mixture, result, separator, watch.within(0.0, _HINTS))
    report = replace(report, hints=hints)
    write_report(report, path, overwrite=overwrite, watch=watch.within(_HINTS, 1.0))
    return path


def report_is_current(
    result: TrackResult,
    path: Path | None = None,
    *,
    separator: Separator | None = None,
    output: OutputSettings | None = None,
) -> bool:
    """Whether the page that `write_song_report` would write with these arguments is there.

    Raises:
        SettingsError: if there are no stems.
    """
    report = _about(result, separator, output)
    return is_current(report, path or _usual_place(result))


def _about(
    result: TrackResult,
    separator: Separator | None,
    output: OutputSettings | None,
    title: str | None = None,
    links: Mapping[str, str] | None = None,
) -> SongReport:
    """The report, without its hints."""
    if not result.outputs:
        raise SettingsError(f"{result.input!r} has no stems on disk to report on")
    mixture = Path(result.input)
    return SongReport(
        title=title or mixture.name,
        mixture=mixture,
        parts=result.outputs,
        result=_measured(result),
        notes=result.notes,
        settings=_settings(separator, output),
        provenance=_provenance(separator),
        links=links or {},
    )


def _usual_place(result: TrackResult) -> Path:
    return Path(os.path.commonpath([p.parent for p in result.outputs.values()]), FILENAME)


def song_hints(
    mixture: Path,
    result: TrackResult,
    separator: Separator | None = None,
    watch: Watch = UNWATCHED,
) -> SongHints | None:
    """Hints about the written stems of a song; None if only one was written."""
    stems = {name: path for name, path in result.outputs.items() if name != "residual"}
    if len(stems) < 2:
        return None
    complete = result.null_test_db is not None
    if separator is not None:
        names = set(separator.spec.stems)
        complete = set(stems) >= names or any(name.startswith("no_") for name in stems)
    hints = hints_of_files(mixture, stems, complete=complete, gain_db=result.gain_db or 0.0)
    if separator is None:
        return hints
    differing = _second_look(mixture, separator, watch.within(_LEVELS, 1.0))
    return replace(
        hints,
        stems={
            name: replace(stem, disagreement_db=differing.get(name))
            for name, stem in hints.stems.items()
        },
    )


def _second_look(mixture: Path, separator: Separator, watch: Watch) -> Mapping[str, float | None]:
    """A second look whose progress is that of the report, not of a song."""

    def separate(signal: Signal, sample_rate: int) -> Mapping[str, Signal]:
        return separator.separate(signal, sample_rate)

    def on_run(done: int, runs: int) -> None:
        watch.tell(Progress("report", done / runs, None))

    own, separator.on_progress = separator.on_progress, None
    try:
        return second_look(mixture, separate, on_run)
    finally:
        separator.on_progress = own


def _measured(result: TrackResult) -> dict[str, Any]:
    again = result.status != "done"  # the time of an earlier run is not known
    return {
        "null_test_db": result.null_test_db,
        "gain_db": result.gain_db,
        "sample_rate": result.sample_rate,
        "channels": result.channels,
        "seconds_audio": result.seconds_audio,
        "seconds_wall": None if again else result.seconds_wall,
        "peak_rss_mb": None if again else result.peak_rss_mb,
    }


def _settings(separator: Separator | None, output: OutputSettings | None) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    if separator is not None:
        settings = separator.settings
        rows |= {
            "segment": f"{separator.segment_s:.4g} s",
            "overlap": f"{settings.overlap:g}",
            "shifts": settings.shifts,
            **({"bigshifts": settings.bigshifts} if settings.bigshifts else {}),
            **({"tta": "yes"} if settings.tta else {}),
            "seed": settings.seed,
        }
    if output is not None:
        rows |= {"clip mode": output.clip_mode, "format": output.format}
    return rows


def _provenance(separator: Separator | None) -> dict[str, Any]:
    if separator is None:
        return {"unbraid": __version__}
    rows = {"unbraid": __version__, "model": separator.model.name}
    if separator.model.licence:
        rows["licence of the weights"] = separator.model.licence
    return {**rows, "device": separator.model.device}
