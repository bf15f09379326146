"""Score estimates against references: folders of stems, or a model on a dataset.

unbraid evaluate --references MUSDB/test --estimates ESTIMATES --out SCORES
unbraid evaluate --model mini --data MUSDB --split test --out SCORES
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unbraid.cli.types import count, segment
from unbraid.errors import EvaluationError, SettingsError
from unbraid.words import counted

if TYPE_CHECKING:
    from unbraid.evaluation.evaluate import Evaluation, EvaluationSettings
    from unbraid.evaluation.summary import Summary

_SETTINGS = ("overlap", "shifts", "bigshifts", "tta", "seed", "device")
_MODEL_ONLY = ("data", "split", "segment", *_SETTINGS, "keep_estimates")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All options: for folders of estimates, and for a model."""
    add = parser.add_argument
    add("--references", metavar="DIR", help="true stems, TRACK/STEM.SUFFIX")
    add("--estimates", metavar="DIR", help="stems to score, under the same names")
    add("-m", "--model", "-n", metavar="NAME|PATH", help="score this model instead, on --data")
    add("--data", metavar="ROOT", help="dataset, ROOT/{train,valid,test}/TRACK/STEM.SUFFIX")
    add("--split", choices=("train", "valid", "test"), help="of the dataset (test)")
    add("-o", "--out", metavar="DIR", required=True, help="folder for the scores")
    add("--metrics", metavar="A,B", default="nsdr,bsseval4", help="what to score by (%(default)s)")
    add("--stems", metavar="A,B", help="score only the estimates of these stems")
    add("--compare", metavar="DIR", help="another evaluation, to compare this one with")
    add("--name", metavar="TEXT", help="name of this system (its folder or model)")
    none = "do not measure what needs no model: the mixture, signal processing, ideal masks"
    add("--no-baselines", action="store_true", help=none)
    add("--leaked", metavar="TEXT", help="why the scores are leaked; added to every output")
    add("--workers", metavar="N", type=count, help="processes that score (cores, 8 at most)")
    add("--json", action="store_true", help="the summary on stdout, as JSON")
    add("--quiet", action="store_true", help="nothing but errors on stderr")
    group = parser.add_argument_group("with --model")
    add = group.add_argument
    add("--segment", metavar="S", type=segment, help="seconds in one pass (the model's own)")
    add("--overlap", metavar="F", type=float, help="of segments (0.25)")
    add("--shifts", metavar="N", type=int, help="averaged shifted runs (0)")
    add("--bigshifts", metavar="N", type=int, help="averaged rotated runs (0)")
    tta = "average over swapped channels and both polarities"
    add("--tta", action="store_const", const=True, help=tta)
    add("--seed", metavar="N", type=int, help="of shifts (0)")
    add("--device", metavar="auto|cpu|cuda[:N]|mps", help="where to compute (auto)")
    add("--keep-estimates", metavar="DIR", help="keep the stems, as DIR/TRACK/STEM.wav")


def run(options: argparse.Namespace) -> int:
    """Evaluate; returns the exit code."""
    _check(options)
    from unbraid.evaluation.evaluate import EvaluationSettings
    from unbraid.evaluation.summary import load_summary, save_summary

    other = load_summary(Path(options.compare)) if options.compare else None
    settings = EvaluationSettings(
        metrics=_words(options.metrics) or (),
        stems=_words(options.stems),
        leaked=options.leaked,
        baselines=not options.no_baselines,
    )
    summary = _of_model(options, settings) if options.model else _of_folders(options, settings)
    if other is not None and summary.tracks:
        summary = _compared(summary, other, Path(options.compare))
    out = Path(options.out)
    try:
        save_summary(out, summary)
    except OSError as error:
        raise EvaluationError(f"{str(out)!r} cannot be written: {error.strerror}") from error
    _tell(summary, options)
    return 1 if summary.failed else 0


def _check(options: argparse.Namespace) -> None:
    if options.model:
        if options.references or options.estimates:
            raise SettingsError("--model goes with --data ROOT, not --references and --estimates")
        if not options.data:
            raise SettingsError("--model needs a dataset: --data ROOT [--split test]")
        return
    if not (options.references and options.estimates):
        raise SettingsError(
            "give --references DIR and --estimates DIR, or --model NAME and --data ROOT"
        )
    for name in _MODEL_ONLY:
        if getattr(options, name) is not None:
            raise SettingsError(f"--{name.replace('_', '-')} goes with --model")


def _of_folders(options: argparse.Namespace, settings: EvaluationSettings) -> Summary:
    from unbraid.evaluation.evaluate import evaluate_folders
    from unbraid.evaluation.summary import summarize

    estimates = Path(options.estimates)
    done = evaluate_folders(
        options.references,
        estimates,
        _free(options.out),
        settings,
        workers=options.workers,
        on_track=_Lines(options.quiet),
    )
    _notes(done, options.quiet)
    return summarize(
        done,
        system=options.name or estimates.resolve().name,
        leaked=settings.leaked,
        provenance={"references": options.references, "estimates": options.estimates},
    )


def _of_model(options: argparse.Namespace, settings: EvaluationSettings) -> Summary:
    from unbraid.api import OutputSettings, Separator
    from unbraid.data.tracks import dataset_tracks
    from unbraid.engines.load import kernels_note
    from unbraid.evaluation.evaluate import evaluate_jobs
    from unbraid.evaluation.model_jobs import model_jobs
    from unbraid.evaluation.summary import summarize
    from unbraid.scratch import Scratch

    split = options.split or "test"
    tracks = dataset_tracks(options.data, split)
    separator = Separator(model=options.model, **_separation(options))
    note = kernels_note(options.model, separator.model.device, separator.model.precision)
    if not options.quiet and note is not None:
        print(f"note: {note}", file=sys.stderr)
    settings = replace(settings, leaked=settings.leaked or known_leak(options.model))
    output = OutputSettings(
        bit_depth="32f", clip_mode="none", filename="{stem}.{ext}", sample_rate="source"
    )
    keep = Path(options.keep_estimates) if options.keep_estimates else None
    with ExitStack() as stack:
        scratch = stack.enter_context(Scratch(_free(options.out))).folder
        jobs = model_jobs(
            tracks,
            lambda mixture, folder: separator.separate_file(mixture, folder, output).outputs,
            [separator.request(output), separator.model.name, options.keep_estimates],
            scratch,
            stems=settings.stems,
            keep=keep,
        )
        done = evaluate_jobs(
            jobs,
            options.out,
            settings,
            split=split,
            workers=options.workers,
            on_track=_Lines(options.quiet),
        )
    provenance: dict[str, Any] = {
        "data": options.data,
        "split": split,
        "model": separator.model.name,
        "licence": separator.model.licence,
        "device": separator.model.device,
        "segment_s": separator.segment_s,
        "overlap": separator.settings.overlap,
        "shifts": separator.settings.shifts,
        "bigshifts": separator.settings.bigshifts,
        "tta": separator.settings.tta,
        "seed": separator.settings.seed,
    }
    return summarize(
        done,
        system=options.name or separator.model.name,
        leaked=settings.leaked,
        provenance=provenance,
        split=split,
    )


def known_leak(model: str) -> str | None:
    """Why this model's scores on MUSDB18's test set are leaked; None if no leak is known."""
    from unbraid.errors import ModelError
    from unbraid.zoo.cards import has_seen_test_set
    from unbraid.zoo.checkpoint import read_info
    from unbraid.zoo.open import find_model

    seen = has_seen_test_set(model)
    note = None
    try:
        provenance = read_info(find_model(model)).provenance
        note = provenance.get("leaked")
        seen = seen or bool(provenance.get("musdb_test_seen"))
    except (ModelError, OSError):
        pass  # a public or foreign one; only the catalog has information
    if note:
        return str(note)
    return f"{model} was trained on MUSDB18's test set" if seen else None


def _separation(options: argparse.Namespace) -> dict[str, Any]:
    given = {"segment_s": options.segment, **{name: getattr(options, name) for name in _SETTINGS}}
    return {name: value for name, value in given.items() if value is not None}


def _compared(summary: Summary, other: Summary, path: Path) -> Summary:
    from unbraid.evaluation.comparison import common_tracks, compare
    from unbraid.evaluation.summary import comparison_json

    found = compare(summary.tracks, other.tracks)
    common = common_tracks(summary.tracks, other.tracks)
    return replace(summary, comparison=comparison_json(other, path, common, found))


def _free(out: str) -> Path:
    """The output folder; an existing file is refused."""
    path = Path(out)
    if path.exists() and not path.is_dir():
        raise SettingsError(f"{out!r} is a file; give a folder for the scores")
    return path


class _Lines:
    """A line on stderr for each track."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet

    def __call__(self, name: str, outcome: Any) -> None:
        from unbraid.cli.display import printable
        from unbraid.cli.score_table import track_line

        if isinstance(outcome, str):
            print(f"unbraid: {printable(name)}: {printable(outcome)}", file=sys.stderr)
        elif not self._quiet:
            print(printable(track_line(outcome)), file=sys.stderr)
            for note in outcome.notes:
                print(f"note: {printable(name)}: {printable(note)}", file=sys.stderr)


def _notes(done: Evaluation, quiet: bool) -> None:
    from unbraid.cli.display import printable

    for note in () if quiet else done.notes:
        print(f"note: {printable(note)}", file=sys.stderr)


def _tell(summary: Summary, options: argparse.Namespace) -> None:
    from unbraid.cli.score_table import summary_text
    from unbraid.evaluation.summary import SUMMARY

    if options.json:
        content = json.loads((Path(options.out) / SUMMARY).read_text(encoding="utf-8"))
        print(json.dumps(content, ensure_ascii=False))
    elif not options.quiet:
        print(summary_text(summary))
    if summary.failed and not options.quiet:
        total = len(summary.failed) + len(summary.tracks)
        failed = f"{len(summary.failed)} of {counted(total, 'track')} failed"
        print(f"unbraid: {failed}", file=sys.stderr)


def _words(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    return tuple(word.strip() for word in text.split(",") if word.strip())
