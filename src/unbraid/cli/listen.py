"""Listening tests: build one, host it, and analyse its ratings.

unbraid listen build --reference truth=DIR --system a=DIR --out STUDY
unbraid listen serve STUDY
unbraid listen analyse STUDY

A folder of stems is DIR/TRACK/STEM.wav (or any other sound file).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from unbraid.cli.types import named_folder
from unbraid.words import counted

if TYPE_CHECKING:
    from unbraid.listening.stimuli import Mixtures, ModelSystem

HAS_ACTIONS = True
"""The first word of this command is an action with its own options; `cli.main` reads this."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`build`, `serve` and `analyse`."""
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="build|serve|analyse", help="what to do"
    )
    for name, (add_options, text) in _ACTIONS.items():
        add_options(actions.add_parser(name, help=text, description=text, allow_abbrev=False))


def _add_build(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--out", metavar="STUDY", required=True, help="a new folder")
    add(
        "--reference",
        metavar="NAME=DIR",
        required=True,
        type=named_folder,
        help="true stems, the hidden reference; the song is their mixture.wav, or their sum",
    )
    add(
        "--system",
        metavar="NAME=DIR",
        action="append",
        default=[],
        type=named_folder,
        help="stems of one system; repeated for others",
    )
    add("--model", metavar="[NAME=]MODEL", action="append", default=[], help="a model to separate")
    add("--mode", choices=("likert", "mushra"), default="likert", help="kind of test (%(default)s)")
    add("--samples", metavar="N", type=int, help="for each rater (25; 10 for mushra)")
    add("--excerpt", metavar="S", type=float, default=12.0, help="seconds (%(default)s)")
    add("--excerpts", metavar="N", type=int, default=1, help="of each stem of a track (1)")
    add("--raters", metavar="N", type=int, default=40, help="playlists to draw (%(default)s)")
    add(
        "--heard-by",
        metavar="N",
        type=int,
        default=3,
        help="raters per sound, about; 0: any (3)",
    )
    add("--practice", metavar="N", type=int, default=2, help="samples before (%(default)s)")
    add(
        "--stems",
        metavar="A,B",
        default="drums,bass,other,vocals",
        help="stems to rate (%(default)s)",
    )
    add("--loudness", metavar="LUFS", type=float, default=-23.0, help="of all (%(default)s)")
    add("--title", default="Listening test", help="of the page (%(default)s)")
    add("--seed", metavar="N", type=int, default=0, help="of all random choices (%(default)s)")
    add("--device", default="auto", help="for models")


def _add_serve(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("study", metavar="STUDY", help="folder of the study")
    add("--host", default="127.0.0.1", help="where to listen; 0.0.0.0 for all (%(default)s)")
    add("--port", type=int, default=8010, help="where to listen (%(default)s)")
    add(
        "--allow-host",
        metavar="NAME",
        action="append",
        default=[],
        help="a name or address under which raters reach this computer; can be repeated",
    )


def _add_analyse(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("study", metavar="STUDY", help="folder of the study")
    add("files", metavar="FILE", nargs="*", help="ratings that were saved as files")
    add("--out", metavar="DIR", help="folder for the results (STUDY/results)")
    add("--overwrite", action="store_true", help="replace a report.html that is not of unbraid")


_ACTIONS = {
    "build": (_add_build, "make a blind test from stems and models"),
    "serve": (_add_serve, "host a test; ratings go into its folder"),
    "analyse": (_add_analyse, "means, agreement and paired tests, as HTML and CSV"),
}


def run(options: argparse.Namespace) -> int:
    """Run the action; returns the exit code."""
    actions = {"build": _build, "serve": _serve, "analyse": _analyse}
    return actions[options.action](options)


def _build(options: argparse.Namespace) -> int:
    from unbraid.listening.build import build_study, describe
    from unbraid.listening.stimuli import FolderSystem, Mixtures
    from unbraid.listening.study import StudySettings

    references = FolderSystem(*options.reference)
    systems = [FolderSystem(*named) for named in options.system]
    models = [_model_system(text, options, Mixtures(references)) for text in options.model]
    settings = StudySettings(
        title=options.title,
        mode=options.mode,
        samples=options.samples or (25 if options.mode == "likert" else 10),
        excerpt_s=options.excerpt,
        raters=options.raters,
        excerpts=options.excerpts,
        practice=options.practice,
        heard_by=options.heard_by,
        loudness_lufs=options.loudness,
        seed=options.seed,
    )
    study = build_study(
        Path(options.out),
        references,
        [*systems, *models],
        settings,
        stems=[stem.strip() for stem in options.stems.split(",") if stem.strip()],
        on_progress=_show_progress,
    )
    for name, value in describe(study).items():
        print(f"{name:16} {', '.join(value) if isinstance(value, list) else value}")
    print(f"\nhost it with      unbraid listen serve {options.out}")
    print(f"or send raters    {Path(options.out) / 'public'}  (never study.json: it is the key)")
    return 0


def _serve(options: argparse.Namespace) -> int:
    from unbraid.listening.server import ListeningServer

    server = ListeningServer(Path(options.study), options.host, options.port, options.allow_host)
    with server:
        print(f"{server.study.settings.title}: {server.url} (Ctrl-C ends it)", flush=True)
        server.serve_forever()
    return 0


def _analyse(options: argparse.Namespace) -> int:
    from unbraid.listening.analysis import ALL, analyse
    from unbraid.listening.ratings import read_answers
    from unbraid.listening.results import write_results
    from unbraid.listening.study import load_study

    folder = Path(options.study)
    study = load_study(folder)
    answers = read_answers(study, folder, [Path(name) for name in options.files])
    analysis = analyse(study, answers)
    out = Path(options.out) if options.out else folder / "results"
    paths = write_results(analysis, answers, out, overwrite=options.overwrite)
    print(f"counted: {analysis['raters_kept']} of {counted(analysis['raters'], 'rater')}")
    for question, systems in analysis["means"].items():
        for system, stems in systems.items():
            cell = stems[ALL]
            if cell is not None and cell["low"] is not None:
                ends = f"{cell['low']:.2f} … {cell['high']:.2f}"
                print(f"{question:14} {system:20} {cell['mean']:6.2f}  ({ends})")
    print(f"\n{paths[0]}")
    return 0


def _model_system(text: str, options: argparse.Namespace, mixtures: Mixtures) -> ModelSystem:
    from unbraid.api import Separator
    from unbraid.listening.stimuli import SAMPLE_RATE, ModelSystem

    name, _, model = text.rpartition("=")
    separator = Separator(model=model, device=options.device)
    return ModelSystem(
        name or separator.model.name,
        lambda signal: separator.separate(signal, SAMPLE_RATE),
        mixtures,
    )


def _show_progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        print(f"\rexcerpt {done} of {total}", end=end, file=sys.stderr, flush=True)
