"""Make a page about an evaluation, or about a song's stems: one HTML file that
opens anywhere, also offline.

unbraid report scores/                         of unbraid evaluate --out scores/
unbraid report scores/a scores/b -o both.html  two systems, song by song
unbraid report separated/song --mixture song.mp3
"""

from __future__ import annotations

import argparse
from pathlib import Path

from unbraid.errors import SettingsError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    add = parser.add_argument
    add("paths", metavar="[NAME=]DIR", nargs="+", help="scores, or a song's stems")
    add("-o", "--out", metavar="FILE", help="page to write (DIR/report.html)")
    add("--mixture", metavar="FILE", help="the song of the stems (mixture.* next to them)")
    add("--title", help="of the page")
    add("--overwrite", action="store_true", help="replace a file that is not a page of unbraid")


def run(options: argparse.Namespace) -> int:
    """Write the page and print its path; returns the exit code."""
    from unbraid.evaluation.page_data import looks_like_evaluation

    named = [_named(text) for text in options.paths]
    missing = [folder for _, folder in named if not folder.is_dir()]
    if missing:
        raise SettingsError(f"{str(missing[0])!r} is not a folder of scores or stems")
    out = Path(options.out) if options.out else named[0][1] / "report.html"
    if all(looks_like_evaluation(folder) for _, folder in named):
        _about_scores(named, out, options)
    elif len(named) == 1:
        _about_stems(named[0][1], out, options)
    else:
        raise SettingsError("only evaluations can share a page; give one folder of stems")
    print(out)
    return 0


def _about_scores(
    named: list[tuple[str | None, Path]], out: Path, options: argparse.Namespace
) -> None:
    from unbraid.evaluation.page import write_scores_report
    from unbraid.evaluation.page_data import load_evaluation

    systems = [load_evaluation(folder, name) for name, folder in named]
    names = [system.system for system in systems]
    if len(set(names)) < len(names):
        raise SettingsError(f"two systems have the same name, {names}; name them: NAME=DIR")
    title = options.title or f"Evaluation of {', '.join(names)}"
    write_scores_report(systems, out, title=title, overwrite=options.overwrite)


def _about_stems(folder: Path, out: Path, options: argparse.Namespace) -> None:
    from unbraid.data.tracks import MIXTURE
    from unbraid.listening.stimuli import stem_files
    from unbraid.song_page.hints import hints_of_files
    from unbraid.song_page.page import SongReport, write_report
    from unbraid.version import __version__

    files = stem_files(folder)
    of_folder = files.pop(MIXTURE, None)
    mixture = Path(options.mixture) if options.mixture else of_folder
    if mixture is None or not files:
        what = "holds neither scores nor stems" if not files else "needs the song: --mixture FILE"
        raise SettingsError(f"{str(folder)!r} {what}")
    order = ("drums", "bass", "other", "vocals")
    stems = {name: files[name] for name in sorted(files, key=lambda n: (n not in order, n))}
    stems = {name: stems[name] for name in (*[n for n in order if n in stems], *stems)}
    heard = {name: path for name, path in stems.items() if name != "residual"}
    report = SongReport(
        title=options.title or folder.resolve().name,
        mixture=mixture,
        parts=stems,
        hints=hints_of_files(mixture, heard) if len(heard) > 1 else None,
        provenance={"unbraid": __version__, "folder": folder.resolve().name},
    )
    write_report(report, out, overwrite=options.overwrite)


def _named(text: str) -> tuple[str | None, Path]:
    name, equals, folder = text.partition("=")
    if equals and name and not Path(text).exists():
        return name, Path(folder)
    return None, Path(text)
